package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"thingpost/handlers/tts"
)

// grpcStop is how long calls can continue after the server began to stop.
const grpcStop = 10 * time.Second

// listenGRPC opens the listeners for gRPC that the options name.
func (a *app) listenGRPC(ctx context.Context) (err error) {
	if address := a.config.HTTP.GRPCListen; address != "" {
		if a.grpc, err = listen(ctx, "grpc-listen", address); err != nil {
			return err
		}
	}
	if address := a.config.HTTP.GRPCTLSListen; address != "" {
		if a.grpcTLS, err = listen(ctx, "grpc-tls-listen", address); err != nil {
			return err
		}
	}
	return nil
}

// runGRPC serves The Things Stack's services on these listeners.
func (a *app) runGRPC(ctx context.Context, g *errgroup.Group) {
	if a.grpc != nil {
		g.Go(func() error { return serveGRPC(ctx, a.grpc, tts.NewGRPC(a.dialect, nil)) })
	}
	if a.grpcTLS != nil {
		g.Go(func() error {
			return serveGRPC(ctx, a.grpcTLS, tts.NewGRPC(a.dialect, credentials.NewTLS(a.cert.config())))
		})
	}
}

// serveGRPC serves until ctx ends, then lets calls finish for a while.
func serveGRPC(ctx context.Context, l net.Listener, server *grpc.Server) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := server.Serve(l); err != nil {
			return fmt.Errorf("serve gRPC on %s: %w", l.Addr(), err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		// Streams do not end by themselves: the hub ends them, or this does.
		cut := time.AfterFunc(grpcStop, server.Stop)
		defer cut.Stop()
		server.GracefulStop()
		return nil
	})
	return g.Wait()
}
