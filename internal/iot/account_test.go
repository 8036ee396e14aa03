package iot_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"thingpost/internal/iot"
)

func TestRolesAndTheirRights(t *testing.T) {
	everything := map[iot.Rights]iot.Role{ // the lowest role that has it
		iot.AllKeyRights: iot.Admin,
		iot.ReadTraffic:  iot.Viewer, iot.ReadDevices: iot.Viewer,
		iot.SendMessages: iot.Editor, iot.SendDownlinks: iot.Editor, iot.WriteDevices: iot.Editor, iot.ChangeSettings: iot.Editor,
		iot.ManageKeys: iot.Admin, iot.ManageMembers: iot.Admin, iot.ManageProject: iot.Admin,
		iot.ManageOrganization: iot.Owner,
	}
	roles := iot.Roles()
	for right, from := range everything {
		for n, role := range roles {
			if want := n >= slices.Index(roles, from); role.Rights().Has(right) != want {
				t.Errorf("%s has right %b: %v, want %v", role, uint32(right), !want, want)
			}
		}
	}
	for _, no := range []iot.Role{"", "Owner", "root"} {
		if no.Valid() || no.Rights() != 0 {
			t.Errorf("%q is a role", no)
		}
	}
	for _, role := range roles {
		if !role.Valid() {
			t.Errorf("%s is no role", role)
		}
	}
}

func TestRightsByTheirNames(t *testing.T) {
	all := iot.RightNames()
	if len(all) != 8 || all[0] != "RIGHT_APPLICATION_ALL" {
		t.Fatalf("the names are %v", all)
	}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.SampledFrom(all), 1, 8).Draw(t, "names")
		rights, err := iot.ParseRights(names)
		if err != nil {
			t.Fatal(err)
		}
		if rights.Has(iot.ManageMembers) || rights.Has(iot.ManageProject) || rights.Has(iot.ManageOrganization) {
			t.Fatalf("%v gives a role's right", names)
		}
		again, err := iot.ParseRights(rights.Names())
		if err != nil || again != rights {
			t.Fatalf("%v became %v, %v", names, again, err)
		}
		if stored, err := iot.ParseRights(strings.Split(rights.String(), ",")); err != nil || stored != rights {
			t.Fatalf("%v is stored as %q", names, rights)
		}
		if whole := rights == iot.AllKeyRights; whole != slices.Equal(rights.Names(), all[:1]) {
			t.Fatalf("%v is named %v", names, rights.Names())
		}
	})
	for _, bad := range [][]string{nil, {}, {""}, {"RIGHT_USER_ALL"}, {"RIGHT_APPLICATION_ALL", "right_application_traffic_read"}} {
		if r, err := iot.ParseRights(bad); iot.CodeOf(err) != iot.Invalid || r != 0 {
			t.Errorf("%q gives %v, %v", bad, r, err)
		}
	}
	if n := len(iot.Owner.Rights().Names()); n != 1 {
		t.Errorf("an owner's rights have %d names, want RIGHT_APPLICATION_ALL alone", n)
	}
}

func TestMessageTypesByTheirNames(t *testing.T) {
	if n := len(iot.MessageTypes()); n != 13 {
		t.Errorf("there are %d message types, want 13", n)
	}
	for _, kind := range iot.MessageTypes() {
		for _, name := range []string{string(kind), kind.Wire()} {
			if got, ok := iot.ParseMessageType(name); !ok || got != kind {
				t.Errorf("%s was read as %s, %v", name, got, ok)
			}
		}
	}
	for _, name := range []string{"", "User", "uplink", "userdefined "} {
		if got, ok := iot.ParseMessageType(name); ok {
			t.Errorf("%q was read as %s", name, got)
		}
	}
}

func TestChannelOf(t *testing.T) {
	for _, c := range []struct {
		payload, own, want string
		inPayload          bool
	}{
		{`{"webhook_channel":"plain"}`, "own", "plain", true},
		{`{"a":{"webhook_channel":"deep"},"webhook_channel":""}`, "own", "", true},
		{`{"webhook_channel":"a\"\u00e4"}`, "", `a"ä`, true},
		{`{"a":{"webhook_channel":"deep"}}`, "own", "own", false},
		{`{"webhook_channel":7}`, "own", "own", false},
		{`{"webhook_channel":null}`, "own", "own", false},
		{`["webhook_channel"]`, "own", "own", false},
		{`"webhook_channel"`, "", "", false},
		{`7`, "own", "own", false},
		{``, "own", "own", false},
	} {
		if got, in := iot.ChannelOf([]byte(c.payload), c.own); got != c.want || in != c.inPayload {
			t.Errorf("%s beside %q: %q, %v; want %q, %v", c.payload, c.own, got, in, c.want, c.inPayload)
		}
	}
}

func TestErrorsNameTheirFields(t *testing.T) {
	var f iot.Faults
	if err := f.Err(); err != nil {
		t.Errorf("no faults are %v", err)
	}
	f.Check(true, "ok", "is fine.")
	f.Check(false, "url", "is missing.")
	f.Add("url", "comes too late.")
	f.Add("id", "is taken.")
	err := f.Err()
	e, ok := errors.AsType[*iot.Error](err)
	if !ok || e.Code != iot.Invalid || len(e.Fields) != 2 || e.Fields["url"] != "is missing." || e.Fields["id"] != "is taken." {
		t.Errorf("the faults are %v", err)
	}
	if got := iot.CodeOf(nil); got != "" {
		t.Errorf("no error has the code %q", got)
	}
}
