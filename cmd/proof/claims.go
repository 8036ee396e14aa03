package main

// claims is the table that "make proof" fills, in its order.
var claims = []claim{
	{
		part: "Nothing lost", claim: "iottly's 10 messages × 8 settings give the expected outcome",
		done: "sent through the running program to a real receiver, bodies compared byte for byte",
		pkg:  "cmd/thingpost", tests: []string{"TestIottlyPairs"},
	},
}
