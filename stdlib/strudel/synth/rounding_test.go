package synth

import (
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

// only reads math, which is quick: of other packages the test need not know more than that it does not know them.
type only struct{ types.Importer }

func (o only) Import(path string) (*types.Package, error) {
	if path != "math" {
		return nil, errors.New("not read")
	}
	return o.Importer.Import(path)
}

// Every product of floats is rounded by a conversion before anything is added to it: else it may be fused with the addition on some processors and not on
// others, and the bytes differ. And of math only what is exact is used.
func TestEveryProductIsRounded(t *testing.T) {
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: only{importer.ForCompiler(fset, "source", nil)}, Error: func(error) {}}
	_, _ = conf.Check("synth", fset, files, info) // that other packages are missing is no news

	float := func(e ast.Expr) bool {
		tv := info.Types[e]
		if tv.Type == nil || tv.Value != nil {
			return tv.Value == nil
		}
		basic, ok := tv.Type.Underlying().(*types.Basic)
		return ok && (basic.Info()&types.IsFloat != 0 || basic.Kind() == types.Invalid) // what a package gives that was not read may be a float
	}
	exact := map[string]bool{"Floor": true, "Sqrt": true, "Abs": true, "Ldexp": true, "Frexp": true, "Pi": true, "Ln2": true, "Log2E": true}
	products := 0
	for _, f := range files {
		var stack []ast.Node
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				stack = stack[:len(stack)-1]
				return true
			}
			stack = append(stack, n)
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok == token.MUL_ASSIGN && float(n.Lhs[0]) {
					t.Errorf("%s: *= is not rounded: write x = float64(x * y)", fset.Position(n.Pos()))
				}
			case *ast.SelectorExpr:
				if id, ok := n.X.(*ast.Ident); ok && id.Name == "math" && !exact[n.Sel.Name] {
					t.Errorf("%s: math.%s may differ from one platform to another", fset.Position(n.Pos()), n.Sel.Name)
				}
			case *ast.BinaryExpr:
				if n.Op != token.MUL || !float(n) {
					break
				}
				products++
				for i := len(stack) - 2; ; i-- {
					switch up := stack[i].(type) {
					case *ast.ParenExpr:
						continue
					case *ast.BinaryExpr:
						if up.Op == token.MUL || up.Op == token.QUO {
							return true
						}
					case *ast.CallExpr:
						if tv := info.Types[up.Fun]; tv.IsType() {
							return true
						}
					}
					t.Errorf("%s: this product is not rounded: write float64(x * y)", fset.Position(n.Pos()))
					break
				}
			}
			return true
		})
	}
	if products < 100 {
		t.Errorf("found %d products: the test does not see the code", products)
	}
}
