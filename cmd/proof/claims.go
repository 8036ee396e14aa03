package main

import "slices"

// claims is the table of "make proof", in order. The last column is the command for a
// longer form of a test.
var claims = []claim{
	{
		part: "Nothing is lost", claim: "iottly's messages arrive as its documents say",
		done: "10 messages × 8 settings through the program to a real receiver, bodies compared byte for byte",
		pkg:  "cmd/thingpost", tests: []string{"TestIottlyPairs"},
	},
	{
		claim: "`kill -9` loses nothing that was acknowledged",
		done: "killed at random moments under load, also while it starts; every acknowledged message is looked for at every webhook that " +
			"wanted it",
		pkg: "cmd/thingpost", tests: []string{"TestKilledAtAnyMomentLosesNothing"}, env: []string{"THINGPOST_KILLS=20"},
		more: "make crash KILLS=1000 MESSAGES=5000000",
	},
	{
		claim: "a failing disk loses nothing, and it recovers by itself",
		done:  "an I/O error at each n-th write, a disk that takes no writes, a full one and a slow one",
		pkg:   "cmd/thingpost", tests: []string{"TestAnErrorAtTheNthWrite", "TestADiskThatTakesNoWrites", "TestAFullDisk", "TestASlowDisk"},
		more: "make diskfaults FAULTS=1000",
	},
	{
		claim: "a stop finishes or releases what is in flight, and counts it as no attempt",
		done:  "SIGTERM under load, twice, and while it starts and migrates",
		pkg:   "cmd/thingpost", tests: []string{"TestStoppedUnderLoadLosesNothing", "TestStoppedWhileStarting"},
	},
	{
		claim: "a clock that jumps starts no storm and starves nobody",
		done:  "a day forwards, a day back, and a start in 1970",
		pkg:   "cmd/thingpost", tests: []string{"TestTheClockIsSetForwards", "TestTheClockIsSetBack", "TestStartsIn1970"},
	},
	{
		claim: "every later version opens the first one's database",
		done:  "opened from each schema, killed during the migrations; a newer schema is refused and left as it is",
		pkg:   "cmd/thingpost", tests: []string{"TestKilledWhileMigratingTheNextStartGoesOn"},
	},
	{
		claim: "every schema there was goes on",
		done:  "a database of each version is opened and its pending deliveries sent",
		pkg:   "db", tests: []string{"TestADatabaseOfTheFirstVersionGoesOn", "TestAnotherSchemaIsRefusedAndLeftAsItIs"},
	},
	{
		claim: "a backup under load is of one moment",
		done:  "backed up while senders send, restored elsewhere, compared; secrets open only with the key",
		pkg:   "cmd/thingpost", tests: []string{"TestBackupUnderLoadIsOfOneMoment"},
	},
	{
		claim: "in order per device is in order",
		done:  "failures, retries and restarts between a device's messages",
		pkg:   "internal/dispatch", tests: []string{"TestInOrderPerDevice"},
	},
	{
		part: "Nobody is slowed down", claim: "a hostile receiver harms nobody",
		done: "receivers that never answer, trickle, reset, lie, redirect, flood and more, beside a webhook that works",
		pkg:  "cmd/thingpost", tests: []string{"TestOneHostileReceiverHarmsNobody"},
		more: "make hostile",
	},
	{
		claim: "after an outage fresh messages come first, and the backlog gradually",
		done:  "a webhook is down for an hour of simulated time and returns; with a limit of rate, and in order per device",
		pkg:   "internal/dispatch", tests: []string{"TestOutageAndReturn"},
		more: "make outage",
	},
	{
		claim: "it does not grow",
		done:  "the program under load with retention on; memory, goroutines, descriptors and disk are read as it goes",
		pkg:   "cmd/thingpost", tests: []string{"TestSoak"}, env: []string{"THINGPOST_SOAK=45s"},
		more: "make soak DURATION=1h",
	},
	{
		claim: "delivered messages a second, all on disk: at least 0.6 of a relay that keeps nothing",
		done:  "both in one process, in turn, the median of three rounds", bench: ratio, more: "bin/thingpost bench",
	},
	{
		claim: "100 messages a second: p99 from accept to arrival below 10 ms",
		done:  "an even pace for five seconds", bench: pace(100, 10), more: "bin/thingpost bench -rate 100",
	},
	{
		claim: "1,000 messages a second: p99 below 25 ms",
		done:  "an even pace for five seconds", bench: pace(1000, 25), more: "bin/thingpost bench -rate 1000",
	},
	{
		claim: "beside a webhook that takes 5 s another's p99 stays within twice its own",
		done:  "50 messages a second to both", bench: beside, more: "bin/thingpost bench",
	},
	{
		claim: "with 1,000,000 pending: first delivery within 3 s of the start, below 150 MiB",
		done:  "filled, closed and opened again", bench: pending, more: "bin/thingpost bench -pending 1000000",
	},
	{
		claim: "50,000 devices cost no more than 20: at least 0.9 of the messages, also for the CPU, and one device more costs the same",
		done: "random senders to a fresh server, by a project's key and by devices' own, also while another project's webhook changes; " +
			"200 devices registered",
		bench: devices, more: "bin/thingpost bench -devices 50000",
	},
	{
		claim: "beside 30 arrays of 10,000 messages with 5 webhooks another project's p99 stays below 50 ms, beside one of 1,000 with 300 " +
			"below 500 ms",
		done:  "50 messages a second, alone and beside them",
		bench: arrays, more: "bin/thingpost bench -arrays 30",
	},
	{
		claim: "with 192 MiB it is never killed, and takes at most 160",
		done:  "32 senders of 1 MB for 20 s and five webhooks that take 2 s; then all that was acknowledged is waited for",
		bench: memory, more: "bin/thingpost bench -small-memory 192MiB -seconds 20",
	},
	{
		claim: "beside a project that floods, 199 others' p99 stays within twice theirs alone",
		done:  "five webhooks each, 100 messages a second of the others, the median of three rounds",
		bench: tenants, more: "bin/thingpost bench -tenants 200",
	},
	{
		claim: "the first page is small: at most 60 KB",
		done:  "HTML, CSS, scripts and icons together, compressed",
		pkg:   "cmd/thingpost", tests: []string{"TestFirstPaintIsSmall"},
	},
	{
		part: "Nobody is let in", claim: "no bytes leave for a forbidden address",
		done: "addresses and names in every spelling, by deliveries, test sends and upstream downlinks",
		pkg:  "cmd/thingpost", tests: []string{"TestNoForbiddenAddressIsReached"},
	},
	{
		claim: "everybody may do what the table says, and no more",
		done:  "every route × every kind of caller, by HTML, REST, gRPC, both dialects and event streams",
		pkg:   "cmd/thingpost", tests: []string{"TestRolesMatrix"},
	},
	{
		claim: "sessions cannot be fixed, stolen or outlived; guessing is throttled",
		done:  "cookies, sign-in, sign-out, passwords, by every door",
		pkg:   "cmd/thingpost", tests: []string{"TestSessionsCannotBeFixedStolenOrOutlived", "TestSessionCookiesAreForThisHostAndHTTPSAlone",
			"TestSignInIsThrottledAndTellsNothing"},
	},
	{
		claim: "other sites change, frame and redirect nothing",
		done:  "every action of the dashboard asked for by another site; every page's policy; every address to return to",
		pkg:   "cmd/thingpost", tests: []string{"TestOtherSitesChangeNothingByAnyRoute", "TestEveryPageForbidsScriptsAndFrames",
			"TestNobodyIsSentElsewhere"},
	},
	{
		claim: "what devices and people write is shown as text",
		done:  "markup and scripts planted in every field, looked for by a parser and in a browser",
		pkg:   "cmd/thingpost", tests: []string{"TestStoredMarkupIsText", "TestBrowserRunsNothingPlanted"},
	},
	{
		claim: "requests that hide, flood or dawdle keep nobody out",
		done:  "smuggling, large and slow requests on raw connections",
		pkg:   "cmd/thingpost", tests: []string{"TestNoRequestHidesInAnother", "TestBodiesAndHeadsAreBounded", "TestSlowRequestsKeepNobodyOut"},
	},
	{
		claim: "a secret is seen nowhere again, and goes to no other host",
		done:  "canaries in every kind of secret, looked for in pages, answers, logs, exports, metrics, panics, database and backup",
		pkg:   "cmd/thingpost", tests: []string{"TestSecretsAreNeverSeenAgain", "TestStoredSecretsGoToNoOtherHost"},
	},
	{
		part: "People can use it", claim: "from the set-up link to a deleted webhook, with scripts, without, and by keyboard alone",
		done: "a real browser; every focus is visible",
		pkg:  "cmd/thingpost", tests: []string{"TestBrowserFromSetUpToDelivery"},
	},
}

// table returns the claims, each with its part.
func table() []claim {
	list := slices.Clone(claims)
	for i := range list {
		if list[i].part == "" {
			list[i].part = list[i-1].part
		}
	}
	return list
}
