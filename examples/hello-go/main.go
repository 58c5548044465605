// A web server from Go's standard library alone, which says which version of it answers.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

//go:embed VERSION
var embedded string

func main() {
	version := strings.TrimSpace(embedded)
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) { fmt.Fprintf(answer, "Hello from Go %s\n", version) })
	http.HandleFunc("/version", func(answer http.ResponseWriter, request *http.Request) { fmt.Fprintln(answer, version) })
	http.HandleFunc("/healthz", func(answer http.ResponseWriter, request *http.Request) { fmt.Fprintln(answer, "ok") })

	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: 10 * time.Second}
	asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		// What is in flight is answered; nothing new is taken.
		<-asked.Done()
		ended <- server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
}
