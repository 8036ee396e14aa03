// Package powercut is a file system for tests that forgets, at a cut of the
// power, what was not synced.
//
// A [Disk] holds files in memory. It remembers each change until its file, or for
// names its folder, is synced. [Disk.Cut] returns what a disk could hold after a
// cut: all that was synced, and any part of the rest. A write that was not
// synced may have reached the disk in any of its sectors of 512 bytes, whatever
// became of other writes. Changes of names reach it in their order, as in the
// journal of a file system.
//
// A disk is stricter than most: a file that was synced is lost with its name if
// its folder was not synced, which POSIX (fsync) allows.
//
// [Mount] serves a disk to the system by FUSE, on Linux and as root.
package powercut
