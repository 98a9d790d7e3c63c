package ledger

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// An UnsafeFSError reports a state folder on a file system whose locks, shared
// memory or fsync SQLite can't trust.
type UnsafeFSError struct {
	Dir  string
	Type string // e.g. "NFS"
}

func (e *UnsafeFSError) Error() string {
	return fmt.Sprintf("state folder %s is on %s: a ledger is safe on a local disk only", e.Dir, e.Type)
}

// statfs returns the magic number of the file system that path is on.
type statfs func(path string) (uint32, error)

func magic(path string) (uint32, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return uint32(st.Type), nil // signed or not and 32 or 64 bits, by architecture
}

// safe refuses network file systems (sqlite.org/wal.html: all processes must
// be on one host) and FUSE, where a local file system can't be told from
// sshfs or s3fs.
func (d folder) safe(ask statfs) error {
	if ask == nil {
		ask = magic
	}
	m, err := ask(string(d))
	if err != nil {
		return fmt.Errorf("examine state folder %s: %w", string(d), err)
	}
	if name := unsafeFS(m); name != "" {
		return &UnsafeFSError{Dir: string(d), Type: name}
	}
	return nil
}

// unsafeFS names the unsafe file systems. Those that x/sys doesn't know have
// their number from the file system's own source.
func unsafeFS(magic uint32) string {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "SMB"
	case unix.CIFS_SUPER_MAGIC:
		return "CIFS"
	case unix.V9FS_MAGIC:
		return "9P"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS"
	case unix.CEPH_SUPER_MAGIC:
		return "CephFS"
	case unix.CODA_SUPER_MAGIC:
		return "Coda"
	case unix.NCP_SUPER_MAGIC:
		return "NCP"
	case unix.OCFS2_SUPER_MAGIC:
		return "OCFS2"
	case unix.FUSE_SUPER_MAGIC:
		return "FUSE"
	case 0x0bd00bd0, 0x0bd00bd3:
		return "Lustre"
	case 0x01161970:
		return "GFS2"
	case 0x47504653:
		return "GPFS"
	case 0x19830326:
		return "BeeGFS"
	case 0xaad7aaea:
		return "PanFS"
	case 0xa501fcf5:
		return "VxFS"
	case 0x786f4256:
		return "vboxsf"
	default:
		return ""
	}
}
