package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"

	"thingpost/internal/iot"
)

// profiles runs one more round of the bare relay and of Thingpost, each under the CPU
// profiler, and writes into folder: NAME.cpu.pprof, and the allocations as
// NAME.allocs.pprof. The latter counts from the program's start: read it with
// -diff_base NAME.allocs-before.pprof. Profiled rounds are slower, so they are separate
// from the compared rounds.
func (h *benchHouse) profiles(ctx context.Context, c benchConfig, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return &iot.Error{Code: iot.Unavailable, Message: "The folder of -profiles cannot be created.", Err: err}
	}
	for name, target := range map[string]benchTarget{"bare-relay": h.bare, "thingpost": h.ours} {
		if err := h.profile(ctx, c, target, filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return nil
}

func (h *benchHouse) profile(ctx context.Context, c benchConfig, target benchTarget, path string) error {
	if err := writeAllocs(path + ".allocs-before.pprof"); err != nil {
		return err
	}
	cpu, err := os.Create(path + ".cpu.pprof")
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		_ = cpu.Close()
		return err
	}
	_, err = h.round(ctx, target, c)
	pprof.StopCPUProfile()
	if closed := cpu.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return writeAllocs(path + ".allocs.pprof")
}

// writeAllocs writes the profile of allocations. The profile is as of the last garbage
// collection, so it collects first.
func writeAllocs(path string) error {
	runtime.GC()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = pprof.Lookup("allocs").WriteTo(f, 0)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
