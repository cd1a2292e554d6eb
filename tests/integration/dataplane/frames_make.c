/* Write a pcap file for net_pcap: each line of standard input as one UDP datagram to port 5514, and after every tenth line
 * one frame of each bad kind. Prints "KIND COUNT" lines, with the drop reason's name as kind. */
#include <stdlib.h>
#include <string.h>

#include "frames.h"

#define EVERY 10u
#define KINDS 9u

static const char *const names[KINDS] = {"runt", "oversized", "fragment", "udp_checksum",
	"ip4_checksum", "udp_port", "not_our_mac", "truncated", "record_empty"};

static size_t
bad_frame(unsigned kind, uint8_t *out)
{
	static const uint8_t big[2000];
	struct frame_spec s = frame_udp4("bad", 3);

	switch (kind) {
	case 0:
		memset(out, 0, 10);
		return 10;
	case 1:
		s = frame_udp4(big, sizeof(big));
		break;
	case 2:
		s.ip4_fragment = 0x2000;
		break;
	case 3:
		s.udp_checksum_xor = 1;
		break;
	case 4:
		s.ip4_checksum_xor = 1;
		break;
	case 5:
		s.dest_port = 9;
		break;
	case 6:
		s.dest_mac[5] ^= 1;
		break;
	case 7:
		s.cut = 2;
		break;
	default:
		s = frame_udp4("", 0);
		break;
	}
	return frame_build(&s, out, FRAME_CAP);
}

int
main(int argc, char **argv)
{
	static uint8_t frame[FRAME_CAP];
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	unsigned lines = 0, bad = 0;

	if (argc != 2)
		return 2;
	FILE *pcap = frame_pcap_create(argv[1]);
	while ((len = getline(&line, &cap, stdin)) > 0) {
		struct frame_spec s = frame_udp4(line, (size_t)len - (line[len - 1] == '\n'));
		frame_pcap_write(pcap, frame, frame_build(&s, frame, sizeof(frame)));
		if (++lines % EVERY != 0)
			continue;
		for (unsigned kind = 0; kind < KINDS; kind++)
			frame_pcap_write(pcap, frame, bad_frame(kind, frame));
		bad++;
	}
	frame_pcap_close(pcap);
	free(line);
	printf("lines %u\n", lines);
	for (unsigned kind = 0; kind < KINDS; kind++)
		printf("%s %u\n", names[kind], bad);
	return 0;
}
