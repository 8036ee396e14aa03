package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"thingpost/internal/iot"
)

// benchChild is a program in a process of its own: a measured server, or the receiver
// or relay beside it.
type benchChild struct {
	cmd  *exec.Cmd
	url  string
	last lastLines     // of standard error
	done chan struct{} // closed when it has ended
}

// startChild starts a program and waits until it reports its address. Its environment
// is ours without the options of "serve", plus env. It is killed when ctx ends. group
// may be nil.
func startChild(ctx context.Context, group *benchGroup, env []string, binary string, args ...string) (*benchChild, error) {
	line := append([]string{binary}, args...)
	if group != nil {
		line = append(group.enter(), line...)
	}
	c := &benchChild{cmd: exec.CommandContext(ctx, line[0], line[1:]...), done: make(chan struct{})}
	c.cmd.Env = append(childEnv(), env...)
	c.cmd.Stderr = &c.last
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	// A child that waits for the end of its input ends with us in any case.
	if _, err := c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, &iot.Error{Code: iot.Unavailable, Message: "The program " + binary + " cannot be started.", Err: err}
	}
	said := bufio.NewScanner(out)
	if said.Scan() {
		_, c.url, _ = strings.Cut(said.Text(), " listens on ")
	}
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, out)
		_ = c.cmd.Wait()
		close(c.done)
	}()
	if c.url == "" {
		c.kill()
		return nil, fmt.Errorf("%s did not start: %s", binary, c.last.String())
	}
	return c, nil
}

// childEnv is our environment without the server's options.
func childEnv() []string {
	var c config
	names := map[string]bool{}
	for _, v := range c.options().all {
		names[v.variable()], names[v.variable()+"_FILE"] = true, true
	}
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return names[name]
	})
}

// benchServe starts a server on a data folder.
func benchServe(ctx context.Context, group *benchGroup, binary, folder string, args ...string) (*benchChild, error) {
	return startChild(ctx, group, []string{"THINGPOST_ADMIN_EMAIL=" + benchEmail, "THINGPOST_ADMIN_PASSWORD=" + benchPassword}, binary,
		append([]string{"serve", "-listen", "127.0.0.1:0", "-data", folder, "-allow-networks", "127.0.0.0/8"}, args...)...)
}

// stop ends the process as an operator does.
func (c *benchChild) stop() {
	if c.cmd.Process.Signal(syscall.SIGTERM) != nil {
		c.kill()
	}
	<-c.done
}

// kill ends the process at once.
func (c *benchChild) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.done
}

// ended reports whether the process has ended.
func (c *benchChild) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// endsWithin reports whether the process ends within a time.
func (c *benchChild) endsWithin(d time.Duration) bool {
	select {
	case <-c.done:
		return true
	case <-time.After(d):
		return false
	}
}

func (c *benchChild) pid() string { return strconv.Itoa(c.cmd.Process.Pid) }

// cpu is the processor time of all threads; 0 if unknown.
func (c *benchChild) cpu() (sum time.Duration) {
	files, _ := filepath.Glob("/proc/" + c.pid() + "/task/*/schedstat") // the pattern is valid
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		ran, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(ran, 10, 64)
		sum += time.Duration(n)
	}
	return sum
}

// memoryMiB is a figure of the process's memory, such as VmRSS or its maximum VmHWM; 0
// if unknown.
func (c *benchChild) memoryMiB(name string) float64 { return procMiB(c.pid(), name) }

// written is how many bytes the system wrote to disk for the process; false if unknown.
func (c *benchChild) written() (int64, bool) {
	text, err := os.ReadFile("/proc/" + c.pid() + "/io")
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(text), "\nwrite_bytes: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(line, 10, 64)
	return n, err == nil
}

// procMiB reads a figure of a process's memory.
func procMiB(pid, name string) float64 {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\n"+name+":")
	kib, _ := strconv.ParseFloat(strings.Fields(rest + " 0")[0], 64)
	return kib / 1024
}

// lastLines keeps the end of the output.
type lastLines struct {
	mu   sync.Mutex
	text []byte
}

func (l *lastLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if over := len(l.text) - 4<<10; over > 0 {
		l.text = slices.Delete(l.text, 0, over)
	}
	return len(b), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// benchGroup is a control group of Linux that limits the memory of its processes.
type benchGroup struct {
	folder string
	second bool // of version 2
}

// newBenchGroup creates a group, or says why it cannot.
func newBenchGroup(bytes int64) (*benchGroup, error) {
	const root = "/sys/fs/cgroup"
	g := &benchGroup{folder: root + "/memory"}
	if _, err := os.Stat(root + "/cgroup.controllers"); err == nil {
		g.folder, g.second = root, true
		_ = g.set("cgroup.subtree_control", "+memory") // where it is off and allowed
	}
	g.folder = filepath.Join(g.folder, "thingpost-bench-"+strconv.Itoa(os.Getpid()))
	limit := map[bool]string{false: "memory.limit_in_bytes", true: "memory.max"}[g.second]
	if err := os.Mkdir(g.folder, 0o700); err != nil {
		return nil, err
	}
	if err := g.set(limit, strconv.FormatInt(bytes, 10)); err != nil {
		g.remove()
		return nil, err
	}
	// Without swap: memory over the limit must not move there. Kernels without swap
	// have neither file.
	_ = g.set(map[bool]string{false: "memory.memsw.limit_in_bytes", true: "memory.swap.max"}[g.second],
		map[bool]string{false: strconv.FormatInt(bytes, 10), true: "0"}[g.second])
	return g, nil
}

func (g *benchGroup) set(name, value string) error {
	return os.WriteFile(filepath.Join(g.folder, name), []byte(value), 0o600)
}

// enter begins a command line whose program starts in the group.
func (g *benchGroup) enter() []string {
	return []string{"/bin/sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(g.folder, "cgroup.procs")}
}

// remove removes the empty group.
func (g *benchGroup) remove() { _ = os.Remove(g.folder) }
