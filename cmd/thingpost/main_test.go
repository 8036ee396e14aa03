package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// asProgram makes the test binary behave as the program itself.
const asProgram = "THINGPOST_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		lookUpAt(os.Getenv(nameServer))
		now := time.Now
		if path := os.Getenv(onMachine); path != "" {
			m, err := openMachine(path)
			if err == nil {
				err = m.use()
			}
			if err != nil {
				panic(err)
			}
			now = m.now
		}
		if file := os.Getenv(panicsBeside); file != "" {
			now = panicking(file, now)
		}
		start(now)
		return
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// process is the program in a process of its own.
type process struct {
	*exec.Cmd
	out    *bufio.Scanner
	stderr transcript
	url    string
}

// transcript keeps the output of a process, and can be read meanwhile.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(b)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// newProcess returns the program with arguments and an environment, not started.
func newProcess(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), os.Args[0], args...)}
	p.Env = append([]string{asProgram + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	p.Stderr = &p.stderr
	return p
}

// serve starts a server on a free port and waits until it listens.
func serve(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := newProcess(t, env, append([]string{"serve", "-listen", "127.0.0.1:0"}, args...)...)
	begin(t, p)
	if !p.out.Scan() {
		_ = p.Wait()
		t.Fatalf("it did not start: %s", p.stderr.String())
	}
	_, p.url, _ = strings.Cut(p.out.Text(), " listens on ")
	return p
}

// begin starts a process whose output is read from its scanner.
func begin(t *testing.T, p *process) {
	t.Helper()
	out, err := p.StdoutPipe()
	must(t, err)
	must(t, p.Start())
	p.out = bufio.NewScanner(out)
}

// end sends a signal and returns the exit status.
func (p *process) end(t *testing.T, sig os.Signal) int {
	t.Helper()
	must(t, p.Process.Signal(sig))
	for p.out.Scan() {
	}
	_ = p.Wait()
	return p.ProcessState.ExitCode()
}

// endTwice sends SIGTERM, and again while the program waits for requests in flight. The
// second must end it as signals end programs.
func (p *process) endTwice(t *testing.T) {
	t.Helper()
	must(t, p.Process.Signal(syscall.SIGTERM))
	address := strings.TrimPrefix(p.url, "http://")
	until(t, "it takes no more requests, so that the handler of signals is gone", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if status := p.end(t, syscall.SIGTERM); status != -1 {
		t.Errorf("exit status %d, want the signal's: %s", status, p.stderr.String())
	}
}

// run runs a command to its end, and returns exit status, output and error output.
func run(t *testing.T, stdin string, env []string, args ...string) (int, string, string) {
	t.Helper()
	p := newProcess(t, env, args...)
	p.Stdin = strings.NewReader(stdin)
	out, err := p.Output()
	if err != nil && p.ProcessState == nil {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode(), string(out), p.stderr.String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b)
}

// testConfig is the config of a server with a folder of its own.
func testConfig(t *testing.T, args ...string) (c config) {
	t.Helper()
	_, err := c.options().parse(withEnv(nil), append([]string{"-listen", "127.0.0.1:0", "-data", t.TempDir()}, args...), 0, 0)
	must(t, err)
	return c
}

// newTestApp is the whole server in this process, wired and not running.
func newTestApp(t *testing.T) *app {
	t.Helper()
	a, err := newApp(t.Context(), testConfig(t), slog.New(slog.DiscardHandler), time.Now)
	must(t, err)
	t.Cleanup(func() { must(t, a.close()) })
	return a
}

func TestStoppingBeforeItHasStartedIsNoFailure(t *testing.T) {
	a := newTestApp(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := a.run(ctx); err != nil {
		t.Error(err)
	}
}

func TestServeStartsAndStopsCleanly(t *testing.T) {
	data := filepath.Join(t.TempDir(), "new", "folder")
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := serve(t, nil, "-data", data)
		if !p.out.Scan() || !strings.Contains(p.out.Text(), p.url+"/setup?token=tpt_") {
			t.Errorf("no set-up link: %q", p.out.Text())
		}
		_, token, _ := strings.Cut(p.out.Text(), "token=")
		if status, body := get(t, p.url+"/readyz"); status != http.StatusOK {
			t.Errorf("readyz: %d %s", status, body)
		}
		if got := p.end(t, sig); got != 0 {
			t.Errorf("%v: exit status %d: %s", sig, got, p.stderr.String())
		}
		if strings.Contains(p.stderr.String(), token) {
			t.Error("the log holds the set-up token")
		}
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := serve(t, nil, "-data", t.TempDir())
	// A request that does not end keeps the server stopping.
	address := strings.TrimPrefix(p.url, "http://")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	must(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /sign-in HTTP/1.1\r\nHost: "+address+
		"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	must(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	must(t, err)
	if !strings.Contains(line, "100") {
		t.Fatalf("nobody reads the form: %s", line)
	}
	p.endTwice(t)
}

func TestServeSaysWhyItCannotStart(t *testing.T) {
	running := serve(t, nil, "-data", t.TempDir())
	defer running.end(t, syscall.SIGTERM)
	used := strings.TrimPrefix(running.url, "http://")
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	cases := map[string]struct {
		args []string
		env  []string
		want string
	}{
		"port in use":      {[]string{"-listen", used, "-data", t.TempDir()}, nil, "is in use by another program"},
		"folder in use":    {[]string{"-data", running.Args[5]}, nil, "Another Thingpost is running"},
		"read-only folder": {[]string{"-data", readOnlyFolder(t)}, nil, "cannot be written"},
		"a file as folder": {[]string{"-data", file}, nil, "cannot be"},
		"damaged database": {[]string{"-data", damagedFolder(t)}, nil, "is damaged. Restore a backup"},
		"newer database":   {[]string{"-data", newerFolder(t)}, nil, "newer version"},
		"no certificate":   {[]string{"-data", t.TempDir(), "-tls-cert", file, "-tls-key", file}, nil, "PEM"},
		"bad key file":     {[]string{"-data", t.TempDir()}, []string{"THINGPOST_SECRET_KEY_FILE=" + file}, "64 hex digits"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			status, out, complaint := run(t, "", c.env, append([]string{"serve", "-listen", "127.0.0.1:0"}, c.args...)...)
			if status != exitFailed || out != "" {
				t.Errorf("exit status %d, output %q", status, out)
			}
			if !strings.Contains(complaint, c.want) || strings.Count(complaint, "\n") != 1 || !strings.HasPrefix(complaint, "thingpost: ") {
				t.Errorf("it says %q, want a line with %q", complaint, c.want)
			}
		})
	}
}

// readOnlyFolder is a folder that even root cannot write to.
func readOnlyFolder(t *testing.T) string {
	t.Helper()
	if os.Geteuid() == 0 && runtime.GOOS == "linux" {
		return "/proc/self"
	}
	folder := t.TempDir()
	must(t, os.Chmod(folder, 0o500))
	return folder
}

// filledFolder is a data folder with the database of a stopped server.
func filledFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	d, err := db.Open(t.Context(), db.Options{Folder: folder})
	must(t, err)
	must(t, d.SetUp(&iot.Account{Email: "ada@example.org", PasswordHash: "x"}, &iot.Organization{Name: "Works"}))
	must(t, d.Close())
	return folder
}

func damagedFolder(t *testing.T) string {
	t.Helper()
	folder := filledFolder(t)
	file := filepath.Join(folder, db.FileName)
	b, err := os.ReadFile(file)
	must(t, err)
	copy(b, bytes.Repeat([]byte("scratch "), 500))
	must(t, os.WriteFile(file, b, 0o600))
	return folder
}

func TestFirstAccountFromTheEnvironment(t *testing.T) {
	data := t.TempDir()
	secret := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(secret, []byte("a long password\n"), 0o600))
	env := []string{"THINGPOST_ADMIN_EMAIL=ada@example.org", "THINGPOST_ADMIN_PASSWORD_FILE=" + secret}
	p := serve(t, env, "-data", data)
	p.end(t, syscall.SIGTERM)
	if strings.Contains(p.stderr.String(), "a long password") {
		t.Error("the log holds the password")
	}
	account := func() *iot.Account {
		d, err := db.Open(t.Context(), db.Options{Folder: data})
		must(t, err)
		defer func() { must(t, d.Close()) }()
		all, err := d.Accounts(t.Context())
		must(t, err)
		if len(all) != 1 {
			t.Fatalf("there are %d accounts", len(all))
		}
		return &all[0]
	}
	first := account()
	if ok, err := iot.NewPasswords().Check(t.Context(), first.PasswordHash, "a long password"); !ok || err != nil || !first.Administrator {
		t.Errorf("%+v cannot sign in: %v", first, err)
	}
	// With an existing account they do nothing.
	p = serve(t, []string{"THINGPOST_ADMIN_EMAIL=eve@example.org", "THINGPOST_ADMIN_PASSWORD=another password"}, "-data", data)
	p.end(t, syscall.SIGTERM)
	if second := account(); second.Email != first.Email || second.PasswordHash != first.PasswordHash {
		t.Errorf("the account became %+v", second)
	}
}

func TestUsersOfARunningServer(t *testing.T) {
	data := t.TempDir()
	p := serve(t, nil, "-data", data)
	defer p.end(t, syscall.SIGTERM)
	steps := []struct {
		stdin  string
		args   []string
		status int
		want   string
	}{
		{"a long password\n", []string{"add", "ada@example.org"}, 0, "Added ada@example.org, the administrator."},
		{"a long password\n", []string{"add", "ADA@example.org"}, 1, "An account with this email exists already."},
		{"short\n", []string{"add", "bob@example.org"}, 1, "must have at least 10 characters"},
		{"", []string{"add", "bob@example.org"}, 1, "There is no password to read."},
		{"a long password\n", []string{"add", "bob"}, 1, "must be an email address"},
		{"a long password\n", []string{"add", "bob@example.org", "-role", "king"}, 2, "-role (THINGPOST_ROLE) must be viewer"},
		{"a long password\n", []string{"add", "bob@example.org", "-role", "editor", "-name", "Bob B."}, 0, "Added bob@example.org."},
		{"", []string{"list"}, 0, "Bob B.  my-organization:editor"},
		{"", []string{"role", "bob@example.org", "owner"}, 0, "bob@example.org in my-organization: owner."},
		{"", []string{"role", "ada@example.org", "none"}, 0, "ada@example.org in my-organization: none."},
		{"", []string{"role", "bob@example.org", "none"}, 1, "An organization needs an owner."},
		{"", []string{"role", "eve@example.org", "viewer"}, 1, "There is no such account."},
		{"another long one\n", []string{"password", "bob@example.org"}, 0, "All sessions and tokens were ended."},
		{"", []string{"frown"}, 2, "unknown command"},
	}
	for _, s := range steps {
		status, out, complaint := run(t, s.stdin, nil, append([]string{"user"}, append(s.args, "-data", data)...)...)
		if status != s.status || !strings.Contains(out+complaint, s.want) {
			t.Errorf("user %v: exit status %d: %s%s; want %d: %s", s.args, status, out, complaint, s.status, s.want)
		}
		if strings.Contains(out+complaint, "a long password") {
			t.Errorf("user %v shows the password", s.args)
		}
	}
}

func TestBackupRestoreAndCheck(t *testing.T) {
	data := t.TempDir()
	p := serve(t, []string{"THINGPOST_ADMIN_EMAIL=ada@example.org", "THINGPOST_ADMIN_PASSWORD=a long password"}, "-data", data)
	defer p.end(t, syscall.SIGTERM)
	file, other := filepath.Join(t.TempDir(), "copy.db"), filepath.Join(t.TempDir(), "other")
	key, err := os.ReadFile(filepath.Join(data, db.KeyFileName))
	must(t, err)
	mustRun(t, 0, "No faults found.", "check", "-data", data)
	mustRun(t, 1, "There is no database", "check", "-data", other)
	mustRun(t, 0, "The key file is not in it.", "backup", "-data", data, file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v %v", info, err)
	}
	b, err := os.ReadFile(file)
	must(t, err)
	if bytes.Contains(b, bytes.TrimSpace(key)) {
		t.Error("the backup holds the key")
	}
	mustRun(t, 1, "exists already", "backup", "-data", data, file)
	mustRun(t, 1, "cannot be written", "backup", "-data", data, filepath.Join(other, "none", "copy.db"))
	mustRun(t, 1, "Another Thingpost is running", "restore", "-data", data, "-force", file)
	mustRun(t, 0, "The key file is missing.", "restore", "-data", other, file)
	mustRun(t, 1, "is missing", "serve", "-listen", "127.0.0.1:0", "-data", other)
	must(t, os.WriteFile(filepath.Join(other, db.KeyFileName), key, 0o600))
	mustRun(t, 0, "No faults found.", "check", "-data", other)
	mustRun(t, 1, "There is a database", "restore", "-data", other, file)
	mustRun(t, 0, "was restored from", "restore", "-data", other, "-force", file)
	mustRun(t, 0, "ada@example.org", "user", "list", "-data", other)
	mustRun(t, 2, "missing argument: expected FILE", "backup", "-data", data)
}

func newerFolder(t *testing.T) string {
	t.Helper()
	folder := filledFolder(t)
	d := rawDatabase(t, folder)
	_, err := d.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	must(t, err)
	must(t, d.Close())
	return folder
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	folder := filledFolder(t)
	d := rawDatabase(t, folder)
	_, err := d.ExecContext(t.Context(), `INSERT INTO webhook_counters (webhook_id, made, delivered) VALUES (7, 2, 1)`)
	must(t, err)
	must(t, d.Close())
	mustRun(t, exitFailed, "made is 2, but the others sum to 1", "check", "-data", folder)
}

func rawDatabase(t *testing.T, folder string) *sql.DB {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+filepath.Join(folder, db.FileName))
	must(t, err)
	return d
}
