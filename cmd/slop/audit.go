package main

import (
	"context"
	"fmt"
	"os/user"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/runtime/server/audit"
	"github.com/slopstudios/slop/runtime/server/auth"
)

// auditCmd is the group of commands on the audit log of servers.
type auditCmd struct {
	List   auditListCmd   `cmd:"" default:"withargs" help:"List who changed what, the newest first. The word list may be left out."`
	Verify auditVerifyCmd `cmd:"" help:"Look whether anything in the audit log was changed or taken away."`
}

func (auditCmd) Help() string {
	return `A server notes each change that is asked of it, also those that it refused: who, when, from
where, what, and how it ended; no bodies and no secrets. Each entry names the hash of the
one before. Who notes the hash that verify prints elsewhere notices later if the end of
the list was cut off.`
}

type auditListCmd struct {
	Tenant     string `placeholder:"NAME" default:"local" help:"Of which tenant (local)."`
	Limit      int    `placeholder:"N" default:"50" help:"How many (50)."`
	Cursor     string `help:"Go on behind an earlier list: its next."`
	JSON       bool   `name:"json" help:"Print {\"items\": […], \"next\": …}."`
	tokenFlags `embed:""`
}

func (v *auditListCmd) Run(c *console) error {
	ctx := context.Background()
	st, _, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	entries, next, err := audit.List(ctx, st.store, v.Tenant, v.Cursor, max(1, v.Limit))
	if err != nil {
		return usage("%s", err)
	}
	if v.JSON {
		items := []any{}
		for _, e := range entries {
			items = append(items, struct {
				audit.Entry
				Hash string `json:"hash"`
			}{e, e.Hash})
		}
		c.printJSON(map[string]any{"items": items, "next": next})
		return nil
	}
	if len(entries) == 0 {
		fmt.Fprintln(c.err, "nobody changed anything of tenant "+screen.Inert(v.Tenant))
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEQ\tAT\tBY\tROLE\tFROM\tWHAT\tSTATUS")
	for _, e := range entries {
		about := e.Path
		if e.Made != "" {
			about = e.Made
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s %s\t%d\n", e.Seq, e.At.Local().Format(time.DateTime), screen.Inert(e.By), e.Role, e.Address, e.Route, screen.Inert(about), e.Status)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if next != "" {
		fmt.Fprintln(c.err, "there are more: --cursor "+next)
	}
	return nil
}

type auditVerifyCmd struct {
	Tenant     string `placeholder:"NAME" help:"Of this tenant only."`
	tokenFlags `embed:""`
}

func (v *auditVerifyCmd) Run(c *console) error {
	ctx := context.Background()
	st, _, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	tenants, err := audit.Tenants(ctx, st.store)
	if err != nil {
		return st.unusable(err)
	}
	if v.Tenant != "" {
		if !slices.Contains(tenants, v.Tenant) {
			return usage("there is no audit log of tenant %s", screen.Inert(v.Tenant))
		}
		tenants = []string{v.Tenant}
	}
	damaged := 0
	for _, tenant := range tenants {
		found, err := audit.Verify(ctx, st.store, tenant, func(problem string) {
			damaged++
			fmt.Fprintf(c.out, "%s audit log of %s: %s\n", c.outStyle.Red("✗"), screen.Inert(tenant), problem)
		})
		if err != nil {
			return st.unusable(err)
		}
		entries := fmt.Sprintf("%d entries", found.Entries)
		if found.Entries == 1 {
			entries = "1 entry"
		}
		fmt.Fprintf(c.out, "%s: %s since %s, to number %d, hash %s\n", screen.Inert(tenant), entries, found.Since.Local().Format(time.DateTime), found.Seq, found.Hash)
	}
	if damaged > 0 {
		fmt.Fprintf(c.err, "%s found\n", plural(damaged, "problem"))
		return &exit{code: exitFailed}
	}
	if len(tenants) == 0 {
		fmt.Fprintln(c.err, "there is no audit log: no server has changed anything yet")
	}
	return nil
}

// noteCommand notes what a command line changed beside the servers.
func (s *state) noteCommand(ctx context.Context, tenant, route, path string) {
	by := "command line"
	if u, err := user.Current(); err == nil {
		by = u.Username
	}
	book := audit.New(s.store, audit.Config{})
	_ = book.Note(ctx, tenant, audit.Entry{By: by, Role: auth.Admin.String(), Method: "CLI", Route: route, Path: path, Status: 200}) // the token is made, or gone, all the same
	_ = book.Close(ctx)
}
