package budget

import (
	"os"
	"path"
	"strconv"
	"strings"
)

// Default is a quarter of the memory that this process can use: of its cgroup's limit
// (version 1 or 2, its own or of any above it), otherwise of the machine's memory. It
// is at least Least, and Least if neither is known.
func Default() int64 { return byDefault(os.ReadFile) }

func byDefault(read func(string) ([]byte, error)) int64 {
	memory := machine(read)
	if limit := cgroup(read); limit > 0 && (memory == 0 || limit < memory) {
		memory = limit
	}
	return max(memory/4, Least)
}

// machine is the memory of the machine; 0 if unknown.
func machine(read func(string) ([]byte, error)) int64 {
	text, err := read("/proc/meminfo")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "MemTotal:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64)
	return kib << 10
}

// cgroup is the lowest limit of the process's cgroup and those above it; 0 if there is
// none. Inside a container the kernel may state paths of the host. The mounted root is
// then the process's own cgroup.
func cgroup(read func(string) ([]byte, error)) (least int64) {
	text, err := read("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	look := func(root, at, file string) {
		for at = path.Clean("/" + at); ; at = path.Dir(at) {
			value, err := read(path.Join(root, at, file))
			n, bad := strconv.ParseInt(strings.TrimSpace(string(value)), 10, 64)
			if err == nil && bad == nil && n > 0 && n < 1<<60 && (least == 0 || n < least) {
				least = n
			}
			if at == "/" {
				return
			}
		}
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for name := range strings.SplitSeq(parts[1], ",") {
			if name == "memory" {
				look("/sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes")
			}
		}
		if parts[0] == "0" {
			look("/sys/fs/cgroup", parts[2], "memory.max")
		}
	}
	return least
}
