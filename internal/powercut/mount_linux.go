package powercut

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Mount serves a disk at a folder until unmount is called. Call it after all programs
// that use the disk have ended. It needs root and /dev/fuse.
func Mount(d *Disk, folder string) (unmount func() error, err error) {
	server, err := fs.Mount(folder, &inode{disk: d, node: d.root}, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "powercut", Name: "powercut"},
	})
	if err != nil {
		return nil, err
	}
	return server.Unmount, nil
}

// inode is a node for the kernel.
type inode struct {
	fs.Inode
	disk *Disk
	node *node
}

var (
	_ fs.NodeLookuper  = (*inode)(nil)
	_ fs.NodeGetattrer = (*inode)(nil)
	_ fs.NodeSetattrer = (*inode)(nil)
	_ fs.NodeReaddirer = (*inode)(nil)
	_ fs.NodeOpener    = (*inode)(nil)
	_ fs.NodeCreater   = (*inode)(nil)
	_ fs.NodeMkdirer   = (*inode)(nil)
	_ fs.NodeUnlinker  = (*inode)(nil)
	_ fs.NodeRmdirer   = (*inode)(nil)
	_ fs.NodeRenamer   = (*inode)(nil)
	_ fs.NodeReader    = (*inode)(nil)
	_ fs.NodeWriter    = (*inode)(nil)
	_ fs.NodeFsyncer   = (*inode)(nil)
	_ fs.NodeStatfser  = (*inode)(nil)
)

// do runs an operation, or fails it without power.
func (i *inode) do(operation func() syscall.Errno) syscall.Errno {
	if !i.disk.begin() {
		return syscall.EIO
	}
	defer i.disk.mu.Unlock()
	return operation()
}

// child returns the kernel's inode of a node, always the same one.
func (i *inode) child(ctx context.Context, name string, n *node, out *fuse.EntryOut) *fs.Inode {
	n.attr(&out.Attr)
	if c := i.GetChild(name); c != nil {
		if known, ok := c.Operations().(*inode); ok && known.node == n {
			return c
		}
	}
	return i.NewInode(ctx, &inode{disk: i.disk, node: n}, fs.StableAttr{Mode: n.mode()})
}

func (n *node) mode() uint32 {
	if n.entries != nil {
		return fuse.S_IFDIR
	}
	return fuse.S_IFREG
}

func (n *node) attr(out *fuse.Attr) {
	out.Mode, out.Size, out.Nlink = n.mode()|0o700, uint64(len(n.data)), 1
	out.Blksize, out.Blocks = 4096, (out.Size+sector-1)/sector
}

func (i *inode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (c *fs.Inode, errno syscall.Errno) {
	errno = i.do(func() syscall.Errno {
		n := i.node.entries[name]
		if n == nil {
			return syscall.ENOENT
		}
		c = i.child(ctx, name, n, out)
		return fs.OK
	})
	return c, errno
}

func (i *inode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return i.do(func() syscall.Errno { i.node.attr(&out.Attr); return fs.OK })
}

func (i *inode) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return i.do(func() syscall.Errno {
		if size, ok := in.GetSize(); ok {
			i.node.truncate(int64(size))
		}
		i.node.attr(&out.Attr)
		return fs.OK
	})
}

func (i *inode) Readdir(context.Context) (stream fs.DirStream, errno syscall.Errno) {
	errno = i.do(func() syscall.Errno {
		var list []fuse.DirEntry
		for name, n := range i.node.entries {
			list = append(list, fuse.DirEntry{Name: name, Mode: n.mode()})
		}
		stream = fs.NewListDirStream(list)
		return fs.OK
	})
	return stream, errno
}

func (i *inode) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, i.do(func() syscall.Errno {
		if flags&syscall.O_TRUNC != 0 {
			i.node.truncate(0)
		}
		return fs.OK
	})
}

func (i *inode) Create(ctx context.Context, name string, _, _ uint32, out *fuse.EntryOut) (c *fs.Inode, fh fs.FileHandle, flags uint32,
	errno syscall.Errno) {
	c, errno = i.make(ctx, name, &node{}, out)
	return c, nil, fuse.FOPEN_KEEP_CACHE, errno
}

func (i *inode) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return i.make(ctx, name, &node{entries: map[string]*node{}}, out)
}

func (i *inode) make(ctx context.Context, name string, n *node, out *fuse.EntryOut) (c *fs.Inode, errno syscall.Errno) {
	errno = i.do(func() syscall.Errno {
		if i.node.entries[name] != nil {
			return syscall.EEXIST
		}
		i.disk.name(entry{folder: i.node, name: name, new: n})
		c = i.child(ctx, name, n, out)
		return fs.OK
	})
	return c, errno
}

func (i *inode) Unlink(_ context.Context, name string) syscall.Errno {
	return i.do(func() syscall.Errno {
		if i.node.entries[name] == nil {
			return syscall.ENOENT
		}
		i.disk.name(entry{folder: i.node, name: name})
		return fs.OK
	})
}

func (i *inode) Rmdir(_ context.Context, name string) syscall.Errno {
	return i.do(func() syscall.Errno {
		if n := i.node.entries[name]; n == nil {
			return syscall.ENOENT
		} else if len(n.entries) > 0 {
			return syscall.ENOTEMPTY
		}
		i.disk.name(entry{folder: i.node, name: name})
		return fs.OK
	})
}

func (i *inode) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	return i.do(func() syscall.Errno {
		n := i.node.entries[name]
		folder, ours := to.EmbeddedInode().Operations().(*inode)
		switch {
		case n == nil:
			return syscall.ENOENT
		case !ours, flags != 0:
			return syscall.EINVAL
		}
		i.disk.name(entry{folder: folder.node, name: newName, new: n}, entry{folder: i.node, name: name})
		return fs.OK
	})
}

func (i *inode) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (result fuse.ReadResult, errno syscall.Errno) {
	errno = i.do(func() syscall.Errno {
		n := 0
		if off < int64(len(i.node.data)) {
			n = copy(dest, i.node.data[off:])
		}
		result = fuse.ReadResultData(dest[:n])
		return fs.OK
	})
	return result, errno
}

func (i *inode) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	return uint32(len(data)), i.do(func() syscall.Errno { i.node.write(data, off); return fs.OK })
}

func (i *inode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return i.do(func() syscall.Errno { i.disk.sync(i.node); return fs.OK })
}

// Statfs reports a disk with much free space: programs check before they write.
func (i *inode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	const block, blocks = 4096, 64 << 30 / 4096
	out.Bsize, out.Frsize, out.Blocks, out.Bfree, out.Bavail, out.NameLen = block, block, blocks, blocks, blocks, 255
	return fs.OK
}
