package tts

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	"thingpost/internal/lorawan/wire"
)

// NewGRPC returns a gRPC server of the services, without TLS if creds is nil:
// ApplicationWebhookRegistry, ApplicationAccess, AppAs and As. They are the methods
// behind the paths of New, with the same rights and errors.
func NewGRPC(o Options, creds credentials.TransportCredentials) *grpc.Server {
	s := newServer(o)
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(maxBody), grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream),
		grpc.MaxConcurrentStreams(maxStreams)}
	if creds != nil {
		options = append(options, grpc.Creds(creds))
	}
	g := grpc.NewServer(options...)
	wire.RegisterApplicationWebhookRegistryServer(g, registry{server: s})
	wire.RegisterApplicationAccessServer(g, access{server: s})
	wire.RegisterAppAsServer(g, appAs{server: s})
	wire.RegisterAsServer(g, configuration{server: s})
	return g
}

// maxStreams bounds the concurrent calls of one connection.
const maxStreams = 256

func (s *server) unary(ctx context.Context, q any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (a any, err error) {
	defer func() { err = s.grpcError(ctx, info.FullMethod, recover(), err) }()
	return next(withCall(ctx, callOfGRPC(ctx)), q)
}

func (s *server) stream(v any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	ctx := stream.Context()
	defer func() { err = s.grpcError(ctx, info.FullMethod, recover(), err) }()
	return next(v, callStream{stream, withCall(ctx, callOfGRPC(ctx))})
}

// callStream is a stream whose context has the call.
type callStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // streams return their context this way
}

// Context returns the context with the call.
func (s callStream) Context() context.Context { return s.ctx }

func callOfGRPC(ctx context.Context) call {
	c := call{header: func(name, value string) {
		_ = grpc.SetHeader(ctx, metadata.Pairs(name, value)) // fails once the head was sent: nobody to notify
	}}
	if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) > 0 {
		c.authorization = values[0]
	}
	return c
}

// grpcError turns a method's error into a status with The Things Stack's details, and a
// panic into one without.
func (s *server) grpcError(ctx context.Context, method string, panicked any, err error) error {
	if panicked != nil {
		s.Log.ErrorContext(ctx, "method panicked", slog.String("method", method), slog.Any("panic", panicked),
			slog.String("stack", string(debug.Stack())))
		return grpcstatus.Error(codes.Internal, "internal error")
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return grpcstatus.FromContextError(err).Err()
	}
	if known := (*Error)(nil); !errors.As(err, &known) {
		if st, ok := grpcstatus.FromError(err); ok {
			return st.Err()
		}
	}
	e := errorOf(err)
	s.logFailure(ctx, method, "", e, err)
	st := grpcstatus.New(codes.Code(e.Code), e.Message())
	if e.Name == "" {
		return st.Err()
	}
	with, derr := st.WithDetails(e.details())
	if derr != nil {
		return st.Err()
	}
	return with.Err()
}
