package dashboard

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// bare returns what stands around a page of someone who is not signed in.
func (s *site) bare(r *http.Request, title, lead string) layout.BareProps {
	status := s.accepting(r)
	if status.Label != "" {
		status.Label += " messages"
	}
	return layout.BareProps{Title: title, Lead: lead, Theme: theme(r), Status: status,
		Foot: []ui.Crumb{{Label: "Thingpost " + s.Version}, {Label: "API", Href: pages.DocumentationPath}}}
}

func (s *site) host(r *http.Request) string {
	if u, err := url.Parse(s.publicURL(r)); err == nil {
		return u.Host
	}
	return r.Host
}

// newSignIn shows the sign-in form.
func (s *site) newSignIn(w http.ResponseWriter, r *http.Request, v *visit) error {
	next := handlers.LocalPath(r.URL.Query().Get("next"))
	if v.account != nil {
		return handlers.Redirect(w, r, next)
	}
	return s.signInPage(w, r, http.StatusOK, handlers.NewForm("next", next))
}

func (s *site) signInPage(w http.ResponseWriter, r *http.Request, status int, f *handlers.Form) error {
	has, err := s.DB.HasAccounts(r.Context())
	if err != nil {
		return err
	}
	p := pages.SignInPage{Bare: s.bare(r, "Sign in to Thingpost", s.host(r)), Form: f, New: !has}
	p.Bare.Toasts = s.toasts(w, r)
	return handlers.Render(w, r, status, pages.SignIn(p))
}

// signIn checks email and password. What it answers and how long it takes does
// not tell whether there is such an account.
func (s *site) signIn(w http.ResponseWriter, r *http.Request, _ *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	email := f.Value("email")
	f.Set("next", handlers.LocalPath(f.Value("next")))
	try, err := s.SignIns.Try(w, r, email)
	if err != nil {
		f.Fail(iot.NewError(iot.Invalid, handlers.ErrorOf(err).Message))
		return s.signInPage(w, r, http.StatusTooManyRequests, f)
	}
	account, err := s.DB.AccountByEmail(r.Context(), email)
	if iot.CodeOf(err) == iot.NotFound {
		account = &iot.Account{}
	} else if err != nil {
		return err
	}
	ok, err := s.Passwords.Check(r.Context(), account.PasswordHash, iot.Secret(f.Raw("password")))
	if err != nil {
		return err
	}
	if !ok {
		f.Fail(iot.FieldError("password", "Wrong email or password."), "password")
		return s.signInPage(w, r, http.StatusUnprocessableEntity, f)
	}
	try.Succeeded()
	if err := s.enter(w, r, account); err != nil {
		return err
	}
	return handlers.Redirect(w, r, f.Value("next"))
}

// enter begins a session in a browser, which is known from then on.
func (s *site) enter(w http.ResponseWriter, r *http.Request, a *iot.Account) error {
	if err := s.Sessions.SignIn(w, r, a); err != nil {
		return err
	}
	s.SignIns.Remember(w, a.Email)
	if err := s.DB.NoteSignIn(a.Key, handlers.SenderOf(r)); err != nil && s.DB.Outage() == nil {
		return err // a disk that takes nothing keeps nobody out
	}
	return nil
}

// signOut ends the session.
func (s *site) signOut(w http.ResponseWriter, r *http.Request, _ *visit) error {
	if err := s.Sessions.SignOut(w, r); err != nil {
		return err
	}
	return s.done(w, r, pages.SignInPath, "You are signed out.")
}

// mayNotSetUp says why the set-up page is closed, nil if it is open.
func (s *site) mayNotSetUp(r *http.Request, token string) error {
	has, err := s.DB.HasAccounts(r.Context())
	if err != nil {
		return err
	}
	switch {
	case has && handlers.Account(r.Context()) != nil:
		return iot.NewError(iot.Forbidden, "This Thingpost is already set up, and you are signed in. An admin can invite more people on the "+
			"page Members.")
	case has:
		return iot.NewError(iot.Forbidden, "This Thingpost is already set up. Sign in instead. An admin can invite more people on the "+
			"page Members.")
	case s.SetupToken == "" || subtle.ConstantTimeCompare([]byte(token), []byte(s.SetupToken.Reveal())) != 1:
		return iot.NewError(iot.Forbidden, "This set-up link is not valid. The server prints a new link at each start until it is set up. "+
			"Use the newest one.")
	}
	return nil
}

// newSetUp shows the form of the first account.
func (s *site) newSetUp(w http.ResponseWriter, r *http.Request, _ *visit) error {
	token := r.URL.Query().Get("token")
	if err := s.mayNotSetUp(r, token); err != nil {
		return err
	}
	return s.setUpPage(w, r, http.StatusOK, handlers.NewForm("token", token))
}

func (s *site) setUpPage(w http.ResponseWriter, r *http.Request, status int, f *handlers.Form) error {
	return handlers.Render(w, r, status, pages.SetUp(pages.SetUpPage{Bare: s.bare(r, "Set up Thingpost", s.host(r)), Form: f}))
}

// setUp makes the first account, its organization and its first project, and
// signs in.
func (s *site) setUp(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	if err := s.mayNotSetUp(r, f.Value("token")); err != nil {
		return err
	}
	a := &iot.Account{Email: f.Value("email"), Name: f.Value("name")}
	o := &iot.Organization{Name: f.Value("organization")}
	p := &iot.Project{Name: f.Value("project"), AutoRegister: true}
	err = s.makeFirst(r, a, o, p, f.Raw("password"))
	if err != nil {
		if f.Fail(err, "email", "name", "password", "organization", "project") {
			return s.setUpPage(w, r, http.StatusUnprocessableEntity, f)
		}
		return err
	}
	if err := s.enter(w, r, a); err != nil {
		return err
	}
	v.account, v.project = a, p
	if err := s.makeFirstKey(v); err != nil {
		return err
	}
	return handlers.Redirect(w, r, pages.In(p.ID).Overview())
}

func (s *site) makeFirst(r *http.Request, a *iot.Account, o *iot.Organization, p *iot.Project, password string) error {
	var faults iot.Faults
	faults.Check(iot.CheckEmail(a.Email) == nil, "email", "must be an email address, like ada@example.org.")
	checkText(&faults, "name", a.Name)
	checkText(&faults, "organization", o.Name)
	checkText(&faults, "project", p.Name)
	hash, err := s.hash(r, &faults, password, a.Email)
	if err != nil {
		return err
	}
	a.PasswordHash = hash
	if err := s.DB.SetUp(a, o); err != nil {
		return err
	}
	p.OrganizationKey = o.Key
	return s.DB.CreateProject(p, a.Email)
}

// hash hashes a new password if no field of the form has a fault, its own among
// them, and returns all faults otherwise.
func (s *site) hash(r *http.Request, faults *iot.Faults, password, email string) (iot.Secret, error) {
	problem := iot.PasswordProblem(iot.Secret(password), email)
	faults.Check(problem == "", "password", problem)
	if err := faults.Err(); err != nil {
		return "", err
	}
	return s.Passwords.Hash(r.Context(), iot.Secret(password), email)
}

// checkText checks a name that people give.
func checkText(f *iot.Faults, field, text string) {
	f.Check(text != "", field, "must not be empty.")
	f.Check(iot.TextLength(text) <= iot.MaxName, field, "must have at most 254 characters.")
	f.Check(!strings.ContainsAny(text, "\r\n"), field, "must be a single line.")
}
