package syntax

// ForeignType tells whether a name is what another language calls a type. Parse reports it wherever it stands for one.
func ForeignType(name string) bool { return foreignTypes[name] != "" }

// ForeignOutput tells whether a name is what another language calls the showing of a value.
func ForeignOutput(name string) bool {
	return name != "output" && foreignWords[name].good == "output" && !later[name]
}

// ForeignConstant tells whether a name is another language's word for nil, true or false. Parse reports it wherever it stands for a value.
func ForeignConstant(name string) bool { return foreignConstants[name] != "" }
