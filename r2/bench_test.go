package r2

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.org/mediamove/media"
)

// sinkEnv makes the test binary a server that swallows PUTs, so that a
// benchmark's CPU time is the client's alone.
const sinkEnv = "MEDIAMOVE_R2_SINK"

func serveSink() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	pages := sinkPages()
	panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			at, _ := strconv.Atoi(r.URL.Query().Get("continuation-token"))
			_, _ = w.Write(pages[at])
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		sum, _ := base64.StdEncoding.DecodeString(r.Header.Get("Content-Md5"))
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sum))
	})))
}

// sinkPages are list answers in R2's form, whose tokens are their places.
func sinkPages() (pages [20][]byte) {
	for at := range pages {
		var b bytes.Buffer
		b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>`)
		for i := range 1000 {
			fmt.Fprintf(&b, "<Contents><Key>media_attachments/files/112/233/445/566/%03d/%03d/original/0123456789abcdef.jpg</Key><Size>%d</Size>"+
				"<LastModified>2023-11-14T22:13:20.000Z</LastModified><ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><StorageClass>STANDARD</StorageClass></Contents>", at, i, i*100)
		}
		more := at+1 < len(pages)
		fmt.Fprintf(&b, "<IsTruncated>%t</IsTruncated>", more)
		if more {
			fmt.Fprintf(&b, "<NextContinuationToken>%d</NextContinuationToken>", at+1)
		}
		b.WriteString("<MaxKeys>1000</MaxKeys><KeyCount>1000</KeyCount><EncodingType>url</EncodingType></ListBucketResult>")
		pages[at] = b.Bytes()
	}
	return pages
}

func startSink(b *testing.B) (addr string) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), sinkEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		b.Fatal(err)
	}
	return addr
}

// BenchmarkPut is one PUT after another on 16 connections; cpu-µs/op is user
// and system time of this process. Run with -cpu 1.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{5_000, 36_000} {
		b.Run(fmt.Sprintf("lean/%d", size), func(b *testing.B) {
			benchmarkPut(b, size, func(bk *Bucket, u Upload) error {
				_, err := bk.Put(b.Context(), u)
				return err
			})
		})
		b.Run(fmt.Sprintf("sdk/%d", size), func(b *testing.B) {
			benchmarkPut(b, size, sdkPut(b))
		})
	}
}

// sdkPut is the same PUT through service/s3, which Put once used: the reason
// for lean.
func sdkPut(b *testing.B) func(*Bucket, Upload) error {
	return func(bk *Bucket, u Upload) error {
		return bk.run(b.Context(), &job{send: sdkSend(bk, u)})
	}
}

func benchmarkPut(b *testing.B, size int, put func(*Bucket, Upload) error) {
	bk, err := Open(Config{
		Endpoint: "http://" + startSink(b), Bucket: "b", AccessKeyID: "AK", SecretAccessKey: "SK", ACL: new(""),
	})
	if err != nil {
		b.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), size)
	u := Upload{
		Size: int64(size), MD5: md5.Sum(body), SHA256: sha256.Sum256(body), ContentType: "image/jpeg",
		ModTime: time.Unix(1_700_000_000, 123), Body: bytes.NewReader(body),
	}
	var n atomic.Int64
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	began := cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			u := u
			u.Key = media.Key(fmt.Sprintf("media_attachments/files/112/233/445/566/%03d/%03d/original/0123456789abcdef.jpg", n.Add(1)/1000, n.Load()%1000))
			if err := put(bk, u); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64((cpuTime()-began).Microseconds())/float64(b.N), "cpu-µs/op")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkList walks 20 pages; cpu-µs/object is user and system time of this
// process. Run with -cpu 1.
func BenchmarkList(b *testing.B) {
	for name, list := range map[string]func(context.Context, *Bucket) iter.Seq2[Object, error]{
		"lean": func(ctx context.Context, bk *Bucket) iter.Seq2[Object, error] { return bk.List(ctx, "") },
		"sdk":  sdkList,
	} {
		b.Run(name, func(b *testing.B) {
			bk, err := Open(Config{
				Endpoint: "http://" + startSink(b), Bucket: "b", AccessKeyID: "AK", SecretAccessKey: "SK", ACL: new(""),
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			began, n := cpuTime(), 0
			for b.Loop() {
				for _, err := range list(b.Context(), bk) {
					if n++; err != nil {
						b.Fatal(err)
					}
				}
			}
			if n != 20_000*b.N {
				b.Error(n)
			}
			b.ReportMetric(float64((cpuTime()-began).Nanoseconds())/1000/float64(n), "cpu-µs/object")
		})
	}
}
