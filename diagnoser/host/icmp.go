package host

import "fmt"

// Names of destination-unreachable codes: RFC 792 and RFC 1812 section 5.2.7.1
// for ICMP type 3, RFC 4443 section 3.1 for ICMPv6 type 1.
var (
	unreachable4 = map[uint8]string{
		0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
		4: "fragmentation needed", 5: "source route failed", 6: "destination network unknown",
		7: "destination host unknown", 9: "network administratively prohibited",
		10: "host administratively prohibited", 13: "communication administratively prohibited",
	}
	unreachable6 = map[uint8]string{
		0: "no route to destination", 1: "communication administratively prohibited",
		2: "beyond scope of source address", 3: "address unreachable", 4: "port unreachable",
		5: "source address failed policy", 6: "reject route to destination",
	}
)

func icmpText(i ICMP) string {
	proto, name := "ICMP", ""
	switch {
	case i.V6:
		proto = "ICMPv6"
		if i.Type == 1 {
			name = unreachable6[i.Code]
		}
	case i.Type == 3:
		name = unreachable4[i.Code]
	case i.Type == 11:
		name = "time exceeded"
	}
	s := fmt.Sprintf("%s type %d code %d", proto, i.Type, i.Code)
	if name != "" {
		s += " (" + name + ")"
	}
	if i.From.IsValid() {
		s += " from " + i.From.String()
	}
	return s
}
