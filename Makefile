# The ways to build, run and check the program. "make help" lists them.
# build, run, test and bench need Go and make alone; the comments name what others need.

GO      ?= go
BIN     ?= bin/thingpost
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# ARGS goes to the program in run and bench, TESTFLAGS to go test.
ARGS      ?=
TESTFLAGS ?=

# The linter is no part of go.mod: its many dependencies must not choose our versions.
LINTER := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The program has no C in it, and its tests test what is shipped. Only the race detector needs cgo.
export CGO_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: help build run generate css fmt lint test race golden e2e bench crash powercut soak hostile outage fuzz diskfaults scale proof check clean

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the program into bin/
	$(GO) build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o $(BIN) ./cmd/thingpost

run: build ## build and start the server on 127.0.0.1:8080 with its data in ./data
	$(BIN) serve $(ARGS)

# protoc's own version, which it writes into each file, is taken out: the code is the same. The
# generators' versions are those of go.mod. A generator that is a file, since protoc starts it itself.
generate: ## make the Go code of templ and .proto files anew (needs protobuf-compiler)
	$(GO) tool templ generate
	rm -rf bin/protoc && mkdir -p bin/protoc
	$(GO) build -o bin/protoc/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
	rm -f internal/lorawan/wire/*.pb.go
	PATH="$(CURDIR)/bin/protoc:$$PATH" protoc -I internal --go_out=internal --go_opt=paths=source_relative \
		--go-grpc_out=internal --go-grpc_opt=paths=source_relative internal/lorawan/wire/*.proto
	sed -i -E '/^\/\/[[:space:]-]+protoc[[:space:]]+v[0-9]/d' internal/lorawan/wire/*.pb.go

# Not "npm ci", which refuses a lock file without the optional packages of other platforms, and
# not every registry has all of them. What the lock file names is checked against its sums all the same.
css: ## build the stylesheet and the icon sprite anew (needs npm)
	npm --prefix static/css install --no-save
	npm --prefix static/css run build

fmt: ## format Go and templ files
	gofmt -l -w .
	$(GO) tool templ fmt .

lint: ## run the linters of .golangci.yml; format templ files and fail if one was not
	$(LINTER) run ./...
	$(GO) tool templ fmt -fail .

# Go's own limit of ten minutes is for a package, and a busy machine takes that for the program's tests.
test: ## run all tests, in random order
	$(GO) test -shuffle=on -timeout 30m $(TESTFLAGS) ./...

# SQLite, translated from C, is not watched: its memory is not Go's, and watched it takes four
# fifths of the time.
race: export CGO_ENABLED = 1
race: ## run all tests under the race detector (needs a C compiler)
	$(GO) test -race -gcflags='modernc.org/sqlite/lib=-race=false' -shuffle=on -timeout 30m $(TESTFLAGS) ./...

golden: ## write the golden files anew, in the packages whose tests have -update
	@packages=$$(grep -rlF --include='*_test.go' 'flag.Bool("update"' . | xargs -r -n 1 dirname | sort -u); \
	if [ -z "$$packages" ]; then echo 'no test has -update' >&2; exit 1; fi; \
	set -x; $(GO) test -count=1 $(TESTFLAGS) $$packages -update

# THINGPOST_AXE names the folder that npm has put axe-core into, see .ci/run.
e2e: ## run the browser tests alone (needs Chromium or Chrome, and axe-core)
	@packages=$$(grep -rl --include='*_test.go' '^func TestBrowser' . | xargs -r -n 1 dirname | sort -u); \
	if [ -z "$$packages" ]; then echo 'there are no browser tests' >&2; exit 1; fi; \
	set -x; THINGPOST_BROWSER_REQUIRED=1 $(GO) test -count=1 -v -run '^TestBrowser' $(TESTFLAGS) $$packages

# ARGS choose other parts: -devices 50000, -arrays 30, -small-memory 192MiB, -tenants 200, -writes, -against BINARY.
bench: build ## run the Go benchmarks, then measure the whole program on this machine
	$(GO) test -run '^$$' -bench . -benchmem $(TESTFLAGS) ./...
	$(BIN) bench $(ARGS)

# The goal for a release: make crash KILLS=1000 MESSAGES=5000000. MESSAGES are 600 for each kill if not given.
crash: KILLS ?= 50
crash: ## kill the program under load, KILLS times with MESSAGES in all, and look for losses
	THINGPOST_KILLS=$(KILLS) THINGPOST_KILL_MESSAGES=$(MESSAGES) $(GO) test -count=1 -v -timeout 0 \
		-run '^TestKilledAtAnyMomentLosesNothing$$' $(TESTFLAGS) ./cmd/thingpost

# The goal for a release: make powercut CUTS=10000. Needs Linux, root and /dev/fuse.
powercut: CUTS ?= 100
powercut: ## cut the power under load, CUTS times, on a disk that forgets what was not synced
	THINGPOST_CUTS=$(CUTS) $(GO) test -count=1 -v -timeout 0 -run '^TestAPowerCutLosesNothing$$' $(TESTFLAGS) ./cmd/thingpost

# DURATION is as Go writes it (1h, 90s); RATE is messages a second, else half of what the machine can do.
soak: DURATION ?= 1h
soak: ## let the program work under load for DURATION, and see that nothing grows or is lost
	THINGPOST_SOAK=$(DURATION) THINGPOST_SOAK_RATE=$(RATE) $(GO) test -count=1 -timeout 0 -v -run '^TestSoak$$' $(TESTFLAGS) ./cmd/thingpost

hostile: ## put up with each kind of hostile receiver alone, and measure what the others notice
	THINGPOST_HOSTILE=each $(GO) test -count=1 -timeout 0 -v -run '^TestOneHostileReceiverHarmsNobody$$' $(TESTFLAGS) ./cmd/thingpost

outage: ## keep a webhook down for an hour of simulated time at 100 messages/s, four ways
	THINGPOST_OUTAGE=full $(GO) test -count=1 -timeout 0 -v -run '^TestOutageAndReturn$$' $(TESTFLAGS) ./internal/dispatch

FUZZTIME ?= 1m
fuzz: ## fuzz every parser for FUZZTIME (1m) each, FUZZ=Name for some alone
	GO='$(GO)' FUZZTIME='$(FUZZTIME)' FUZZ='$(FUZZ)' FUZZKEEP='$(FUZZKEEP)' .ci/fuzz

diskfaults: FAULTS ?= 1000
diskfaults: ## let the disk fail at FAULTS writes (1000) of the real program, one after the other
	THINGPOST_DISK_FAULTS=$(FAULTS) $(GO) test -count=1 -v -timeout 0 -run '^(TestAnErrorAtTheNthWrite|TestADiskThatTakesNoWrites|TestAFullDisk|TestASlowDisk)$$' $(TESTFLAGS) ./cmd/thingpost

scale: ROWS ?= 10000000
scale: ## compare the cost of storing, and of each list, with 10,000 and with ROWS stored messages (10000000; 8 GB in TMPDIR, some minutes)
	THINGPOST_SCALE_ROWS=$(ROWS) $(GO) test ./handlers/dashboard -run '^$$' -bench '^BenchmarkScale$$' -benchtime 1x -timeout 0 -v $(TESTFLAGS)

# INTO=docs/proof.md puts the table there; ONLY is a part of a test's name or of a claim.
proof: ## show what holds: the claims, what was done, and the figures, within a quarter of an hour
	@THINGPOST_BROWSER_REQUIRED=1 $(GO) run ./cmd/proof $(if $(INTO),-into $(INTO)) $(if $(ONLY),-only '$(ONLY)')

check: ## do all that CI does
	.ci/run

clean: ## remove what was built, but never the data
	rm -rf bin dist coverage.out *.test *.prof static/css/node_modules
