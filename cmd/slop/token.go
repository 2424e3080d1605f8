package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/server/auth"
)

// tokenCmd is the group of commands on the tokens of servers.
type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token, and print it this once."`
	List   tokenListCmd   `cmd:"" help:"List the tokens that there are."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token within five seconds, also where a stream is open."`
}

func (tokenCmd) Help() string {
	return `A token says to a server who calls, whose things are theirs, and what they may do:

  viewer    sees runs and follows them
  operator  starts runs, steers and answers them, writes flows, templates, contexts
  admin     registers agents, reads the audit log

It is kept where the runs are: in the state folder, or on the Redis that the servers share.`
}

// tokenFlags say where tokens are kept.
type tokenFlags struct {
	Redis     string `placeholder:"URL" help:"The Redis that the servers share. SLOP_STORE keeps a password out of sight."`
	stateFlag `embed:""`
}

func (f *tokenFlags) open(ctx context.Context) (*state, *auth.Tokens, error) {
	f.redis = f.Redis
	st, err := f.stateFlag.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	return st, auth.NewTokens(st.store, nil), nil
}

type tokenCreateCmd struct {
	Role       string `required:"" placeholder:"ROLE" help:"What it may do: viewer, operator or admin."`
	Tenant     string `placeholder:"NAME" default:"local" help:"Whose runs and flows it is about (local): tenants see nothing of each other."`
	Name       string `placeholder:"NAME" help:"Who has it, for histories and the audit log."`
	Expires    string `placeholder:"AGE" default:"30d" help:"How long it holds (30d)."`
	tokenFlags `embed:""`
}

func (v *tokenCreateCmd) Run(c *console) error {
	role, err := auth.ParseRole(v.Role)
	if err != nil {
		return usage("--role %s: %s", v.Role, err)
	}
	if err := auth.CheckTenant(v.Tenant); err != nil {
		return usage("--tenant: %s", err)
	}
	life, err := plan.ParseDuration(v.Expires)
	if err != nil {
		return usage("--expires %s: %s", v.Expires, err)
	}
	ctx := context.Background()
	st, tokens, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	text, made, err := tokens.Create(ctx, role, v.Tenant, v.Name, life)
	if err != nil {
		return usage("%s", err)
	}
	st.noteCommand(ctx, made.Tenant, "createToken", "tokens/"+made.ID)
	fmt.Fprintln(c.out, text)
	fmt.Fprintf(c.err, "token %s: %s of %s, until %s; its text is not kept, so keep it now (SLOP_TOKEN)\n", made.ID, made.Role, made.Tenant, made.Expires.Local().Format(time.DateTime))
	return nil
}

type tokenListCmd struct {
	JSON       bool `name:"json" help:"Print {\"tokens\": […]}."`
	tokenFlags `embed:""`
}

type tokenReport struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Role    string     `json:"role"`
	Tenant  string     `json:"tenant"`
	State   string     `json:"state"` // active, expired, revoked
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires"`
	Used    *time.Time `json:"used"` // to within ten minutes; null: never
}

func (v *tokenListCmd) Run(c *console) error {
	ctx := context.Background()
	st, tokens, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	all, err := tokens.List(ctx)
	if err != nil {
		return st.unusable(err)
	}
	now := time.Now()
	if v.JSON {
		reports := []tokenReport{}
		for _, t := range all {
			r := tokenReport{ID: t.ID, Name: t.Name, Role: t.Role, Tenant: t.Tenant, State: t.State(now), Created: t.Created, Expires: t.Expires}
			if !t.Used.IsZero() {
				r.Used = &t.Used
			}
			reports = append(reports, r)
		}
		c.printJSON(map[string]any{"tokens": reports})
		return nil
	}
	if len(all) == 0 {
		fmt.Fprintln(c.err, "no tokens: servers here ask nobody who they are (slop token create)")
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tROLE\tTENANT\tSTATE\tEXPIRES\tUSED")
	for _, t := range all {
		used := "never"
		if !t.Used.IsZero() {
			used = t.Used.Local().Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, screen.Inert(t.Name), t.Role, t.Tenant, t.State(now), t.Expires.Local().Format("2006-01-02 15:04"), used)
	}
	return w.Flush()
}

type tokenRevokeCmd struct {
	ID         string `arg:"" help:"The id of the token, as slop token list shows it."`
	tokenFlags `embed:""`
}

func (v *tokenRevokeCmd) Run(c *console) error {
	ctx := context.Background()
	st, tokens, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	one, err := tokens.Revoke(ctx, v.ID)
	switch {
	case errors.Is(err, auth.ErrNoToken):
		return usage("there is no token %s; slop token list%s shows those that there are", shellWord(v.ID), st.said)
	case err != nil:
		return st.unusable(err)
	}
	st.noteCommand(ctx, one.Tenant, "revokeToken", "tokens/"+one.ID)
	fmt.Fprintf(c.err, "token %s of %s holds no more\n", one.ID, screen.Inert(one.Name))
	return nil
}
