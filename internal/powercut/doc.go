// Package powercut is a file system for tests that loses unsynced data at a power cut.
//
// A [Disk] has files in memory. It remembers each change until its file, or for names
// its folder, is synced. [Disk.Cut] returns a possible content after a cut: everything
// synced, and any part of the rest. Each sector of 512 bytes of an unsynced write may
// have reached the disk, independent of other writes. Changes of names reach it in
// order, as in a file system's journal.
//
// A disk is stricter than most: a synced file is lost with its name if its folder was
// not synced, which POSIX (fsync) allows.
//
// [Mount] serves a disk to the system by FUSE, on Linux and as root.
package powercut
