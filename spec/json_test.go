package spec_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/jsonflow"
	"github.com/slopstudios/slop/lang/source"
)

// The definition on the page is the script below it, and both are without mistakes.
func TestTheDefinitionOnThePageIsTheScriptBelowIt(t *testing.T) {
	text, err := os.ReadFile("json.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```json\n(.*?)```.*?```slop\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(shown) == 0 {
		t.Fatal("the page shows no definition")
	}
	for _, m := range shown {
		flow, diags := jsonflow.Workflow(source.NewFile("article.json", m[1]), withStandardFlows())
		if len(diags) > 0 {
			t.Fatalf("%s\n%v", m[1], diags)
		}
		if flow.Script.Text != m[2] {
			t.Errorf("the page shows\n%s\nand the definition is\n%s", m[2], flow.Script.Text)
		}
		if _, diags := lang.Compile(flow.Script, withStandardFlows()); len(diags) > 0 {
			t.Errorf("%s\n%v", flow.Script.Text, diags)
		}
	}
}
