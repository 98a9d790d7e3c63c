package trash

import (
	"bufio"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// childEnv holds the trash of a process that adds to it until it is killed.
const childEnv = "MEDIAMOVE_TEST_TRASH"

// memory is a bucket whose objects follow from their keys.
type memory struct{}

func (memory) body(k media.Key) string { return strings.Repeat(string(k)+"\n", 2000) }

func (m memory) object(k media.Key) r2.Object {
	body := m.body(k)
	return r2.Object{Key: k, Size: int64(len(body)), ETag: fmt.Sprintf("%x", md5.Sum([]byte(body)))}
}

func (m memory) GetMatching(_ context.Context, k media.Key, _ string) (io.ReadCloser, r2.Head, error) {
	return io.NopCloser(strings.NewReader(m.body(k))), r2.Head{Object: m.object(k), Header: http.Header{"Content-Type": {"text/plain"}}}, nil
}

// child tells the name of each copy once it is said to be durable.
func child(dir string) {
	s, err := Open(context.Background(), Options{Dir: dir, Free: func() (int64, error) { return 1 << 50, nil }})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var say sync.Mutex
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				k := media.Key(fmt.Sprintf("k%d-%d", worker, i%50))
				name, err := s.Add(context.Background(), memory{}, Item{Run: int64(os.Getpid()), Object: memory{}.object(k)})
				say.Lock()
				fmt.Println(name, err)
				say.Unlock()
			}
		})
	}
	wg.Wait()
}

// However often the writer is killed: what was said to be kept is, and nothing half.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "trash")
	kept := map[string]bool{}
	for range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := rand.IntN(120) + 1; n > 0 && lines.Scan(); n-- {
			name, fault, _ := strings.Cut(lines.Text(), " ")
			if fault != "<nil>" {
				t.Fatal(lines.Text())
			}
			kept[name] = true
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
	}
	s := open(t, Options{Dir: dir})
	half := 0
	must(t, s.walk(t.Context(), func(e entry) error {
		switch e.kind {
		case isDraft:
			t.Errorf("left: %s", e.path)
		case isBytes:
			if !s.Has(e.path) { // killed between the two names
				half++
			}
		case isMeta:
			if !s.Has(strings.TrimSuffix(e.path, metaSuffix)) {
				t.Errorf("facts without their bytes: %s", e.path)
			}
		}
		return nil
	}))
	for name := range kept {
		m, err := s.Meta(name)
		must(t, err)
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != (memory{}).body(m.Object.Key) {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%d kept, %d halves", len(kept), half)
	s.opt.Now = func() time.Time { return time.Now().Add(2 * DefaultKeep) }
	if _, _, err := s.Expire(t.Context()); err != nil || s.objects != 0 || s.bytes != 0 {
		t.Errorf("%d objects, %d bytes, %v", s.objects, s.bytes, err)
	}
}
