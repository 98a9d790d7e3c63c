package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.org/mediamove/bench/sink"
)

// A sample is one run of one client.
type sample struct {
	Measure  string     `json:"measure"`
	Client   string     `json:"client"`
	Wall     float64    `json:"wall_seconds"`
	CPU      float64    `json:"cpu_seconds"` // user and system
	RSS      int64      `json:"max_rss"`     // bytes
	SinkCPU  float64    `json:"sink_cpu_seconds"`
	Others   float64    `json:"others"` // cores that neither of the two used
	Requests sink.Stats `json:"requests"`

	// Of the measures with a database.
	DatabaseCPU float64    `json:"database_cpu_seconds,omitempty"`
	Statements  statements `json:"statements,omitzero"`
	Glance      glance     `json:"glance,omitzero"`
}

// settle takes what the server used off what the machine did meanwhile.
func (s *sample) settle(server float64) {
	s.SinkCPU = server
	s.Others = max(0, s.Others-server) / s.Wall
}

// sinkShare is how busy the sink's core was, 0 to 1.
func (s sample) sinkShare() float64 { return s.SinkCPU / s.Wall }

// runLimit ends a client that hangs: no measure takes a quarter of this.
const runLimit = 30 * time.Minute

// A process is a client under way.
type process struct {
	name    string
	cmd     *exec.Cmd
	cancel  context.CancelFunc
	stderr  string // file
	started time.Time
	before  ticks
}

// launch starts c on the client's core.
func (h *harness) launch(ctx context.Context, c client, j job) (p *process, err error) {
	if err := j.furnish(); err != nil {
		return nil, err
	}
	argv := c.argv(j)
	if !c.onBoth {
		argv = append([]string{"taskset", "-c", strconv.Itoa(h.clientCPU)}, argv...)
	}
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer func() {
		if err != nil {
			cancel()
		}
	}()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = j.home
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + j.home, "LC_ALL=C"}, c.env(j)...)
	p = &process{name: c.name, cmd: cmd, cancel: cancel, stderr: filepath.Join(j.home, "stderr")}
	// Files and not pipes: a pipe would have the harness read it meanwhile.
	stderr, err := os.Create(p.stderr)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	stdout, err := os.Create(c.stdout(j))
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if p.before, err = machineTicks(); err != nil {
		return nil, err
	}
	p.started = time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	return p, nil
}

// wait returns what the run took. A client that fails is an error, with the
// end of what it said.
func (p *process) wait() (sample, error) {
	defer p.cancel()
	err := p.cmd.Wait()
	s := sample{Client: p.name, Wall: time.Since(p.started).Seconds()}
	after, tickErr := machineTicks()
	if p.cmd.ProcessState == nil || tickErr != nil {
		return s, fmt.Errorf("wait for %s: %w", p.name, err)
	}
	if ru, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.CPU = time.Duration(ru.Utime.Nano() + ru.Stime.Nano()).Seconds()
		s.RSS = ru.Maxrss << 10
	}
	s.Others = float64(after-p.before) - s.CPU
	if err != nil {
		return s, fmt.Errorf("%s: %w\n%s", p.name, err, tail(p.stderr))
	}
	return s, nil
}

// alive reports whether the client still runs. One that has ended stays a
// zombie until [process.wait], so a signal says nothing.
func (p *process) alive() bool {
	state, err := field("/proc/"+strconv.Itoa(p.cmd.Process.Pid)+"/status", "State")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// tail returns the last lines of a file, for an error.
func tail(name string) []byte {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	const most = 2000
	return bytes.TrimSpace(b[max(0, len(b)-most):])
}

// ticks is CPU time that the whole machine has spent working, in seconds.
type ticks float64

// machineTicks reads the first line of /proc/stat: user, nice, system, idle,
// iowait, irq, softirq, steal, in hundredths of a second.
func machineTicks() (ticks, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var busy int64
	for i, field := range strings.Fields(line) {
		const idle, iowait, guest = 4, 5, 9 // guest time is part of user time
		if i == 0 || i == idle || i == iowait || i >= guest {
			continue
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		busy += n
	}
	return ticks(float64(busy) / 100), nil
}

// processCPU returns the user and system seconds of a running process.
func processCPU(pid int) (float64, error) {
	own, _, err := processTimes(pid)
	return own, err
}

// familyCPU returns those of a process, of the children that it has waited for and of
// those that still run.
func familyCPU(pid int) (float64, error) {
	own, waited, err := processTimes(pid)
	if err != nil {
		return 0, err
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	if err != nil {
		return 0, err
	}
	sum := own + waited
	for child := range strings.FieldsSeq(string(b)) {
		id, err := strconv.Atoi(child)
		if err != nil {
			return 0, err
		}
		if own, waited, err := processTimes(id); err == nil { // else it ended meanwhile
			sum += own + waited
		}
	}
	return sum, nil
}

// processTimes returns the user and system seconds of a running process, and of the
// children that it has waited for. The name in /proc/PID/stat may hold spaces, but it
// ends with the last bracket.
func processTimes(pid int) (own, waited float64, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	const user, last = 11, 14 // counted from the field after the name
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) <= last {
		return 0, 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	var times [last - user + 1]float64 // user, system, then both of the children
	for i := range times {
		hundredths, err := strconv.ParseInt(fields[user+i], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		times[i] = float64(hundredths) / 100
	}
	return times[0] + times[1], times[2] + times[3], nil
}
