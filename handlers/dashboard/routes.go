package dashboard

import "net/http"

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// routes is the table of all pages and actions.
func (s *site) routes() []route {
	const (
		p = "/projects/{project}"
		o = "/settings/organizations/{organization}"
	)
	return []route{
		// Accounts.
		{get, "/setup", anyone, 0, s.newSetUp},
		{post, "/setup", anyone, 0, s.setUp},
		{get, "/sign-in", anyone, 0, s.newSignIn},
		{post, "/sign-in", anyone, 0, s.signIn},
		{post, "/sign-out", anyone, 0, s.signOut},
		{post, "/theme", anyone, 0, s.setTheme},

		// Projects.
		{get, "/{$}", person, 0, s.home},
	}
}
