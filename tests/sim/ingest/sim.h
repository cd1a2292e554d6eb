/* A whole ingestd in one thread, on a simulated network, disk, KMS and clock, all of it from one seed.
 *
 *     frames -> net_ring port -> dp_worker -> jnl_lane -> simulated disk -> jnl_reader
 *                                   ^ puts       ^ keys: dp_control, signatures: dp_keeper <-> simulated KMS
 *
 * Worker, staging, control thread, keeper, journal, notary, reader and engines are the product's objects, unchanged. What is
 * put in their place at link time (--wrap): the calls of lib/kmsclient, randomness, sleeping and the system's clock. Some
 * calls between their files are looked on by the way, and, where a test says so, made to do wrong (enum sim_plant).
 *
 * The model knows what every record is, which sequence number it was given, what was acknowledged and what readers have
 * seen. What does not hold ends the life with sim_violation(); the seed replays it.
 */
#ifndef SLK_TESTS_SIM_INGEST_H
#define SLK_TESTS_SIM_INGEST_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "attester.h"
#include "config.h"
#include "control.h"
#include "journal/journal.h"
#include "journal/reader.h"
#include "keeper.h"
#include "port.h"
#include "simdisk.h"
#include "worker.h"

#define SIM_DIR "sim"
#define SIM_STREAMS 3u /* at a time */
#define SIM_STREAM_IDS 64u /* in one life: 1..63 */
#define SIM_SHARDS 3u /* at most, of a stream */
#define SIM_LISTENERS 3u
#define SIM_PORTS 2u
#define SIM_UIDS 2u
#define SIM_KEYS_MAX 32768u
#define SIM_PUTS_MAX 64u
#define SIM_IN_AIR 64u
#define SIM_FRAMES_QUEUED 512u
#define SIM_INTERVAL_NS (300 * SLK_NS_PER_S)

/* What must always hold. */
enum sim_invariant {
	SIM_OK,
	SIM_LOST, /* something acknowledged, or seen by a reader, is not there any more */
	SIM_TWICE, /* a record is stored more often than it came */
	SIM_NONCE, /* a (key, nonce) pair sealed two blocks */
	SIM_WATERMARK, /* a reader was given what a power cut could still take */
	SIM_SEQUENCE, /* a number that was seen was given again, or numbers are not consecutive */
	SIM_EPOCH_END, /* something was sealed under a key whose time was over */
	SIM_KEY_LEFT, /* a sealing key lay in memory long after its time */
	SIM_PLAINTEXT, /* a record or a data key was written to the disk as it is */
	SIM_BELIEVED, /* bytes that are not those that were written were taken for good */
	SIM_REFUSED, /* a record was taken though its sender had been refused */
	SIM_UNTYPED, /* a failure without a name, or with one that has no cause */
	SIM_UNCOUNTED, /* a record went without being counted */
	SIM_STUCK, /* no end is reached, or what must succeed fails */
	SIM_INVARIANTS
};
const char *sim_invariant_name(enum sim_invariant invariant);

/* Faults to be found: made at the seams, never in the product. */
enum sim_plant {
	SIM_PLANT_NONE,
	SIM_PLANT_ACK_BEFORE_FLUSH, /* the worker takes what was appended for durable */
	SIM_PLANT_APPEND_TWICE, /* a block is appended again, as after a time-out */
	SIM_PLANT_KEY_CARRIED_ON, /* a restarted writer goes on with the key and the epoch of the process before it */
	SIM_PLANT_WATERMARK_EARLY, /* the watermark is published ahead of the flush */
	SIM_PLANT_NUMBERS_FORGOTTEN, /* recovery does not learn the last numbers */
	SIM_PLANT_NO_END, /* the key's end is an hour late */
	SIM_PLANT_GRACE_FOR_ALL, /* a refusal is taken for an absence */
	SIM_PLANT_KEY_LEFT, /* an epoch's key is not wiped at its end */
	SIM_PLANT_RECORD_ON_DISK, /* a record is written beside its block */
	SIM_PLANT_KEY_ON_DISK, /* a data key is written where its wrapped form belongs */
	SIM_PLANT_CRC_IGNORED, /* readers do not look at checksums */
	SIM_PLANT_ALLOW_ALL, /* what kmsd says of a right is not looked at */
	SIM_PLANT_NAMELESS, /* an append fails as something internal */
	SIM_PLANT_SILENT_LOSS, /* a record is dropped and not counted */
	SIM_PLANT_NOT_ANNOUNCED, /* the machine was duplicated, and nobody heard of it */
	SIM_PLANTS
};
const char *sim_plant_name(enum sim_plant plant);

enum sim_answer { SIM_KMS_UP, SIM_KMS_AWAY, SIM_KMS_HANGS, SIM_KMS_CLOSES };

struct sim_stream {
	bool exists;
	bool deleting; /* until ingestd takes no more records of it */
	char name[16];
	char arn[96];
	uint64_t id;
	uint32_t shard_count;
	unsigned cmk;
	int key_status; /* what GenerateDataKey says */
	uint64_t refused_ns; /* when it last refused; 0: it granted since */
};

/* A data key that was given out. */
struct sim_key {
	uint64_t stream_id;
	uint64_t asked_ns;
	uint64_t refused_ns; /* the first refusal after it, which ends all grace; 0: none */
	uint64_t epoch_id; /* that it was used for; 0: none yet */
	uint64_t next_block;
	bool over; /* its epoch was ended */
	bool unwrapped; /* a reader asked for it */
};

struct sim;
/* ingestd's question that kmsd answers when something moves. */
struct sim_watch {
	bool asking, known;
	uint64_t stream_changes, right_changes;
	uint64_t until_ns, pause_ns;
};

struct sim_kms {
	enum sim_answer answer;
	struct sim_watch watch;
	bool hsm_there;
	uint64_t away_ns; /* when a call last found nobody */
	uint64_t right_changes, stream_changes;
	struct sim_stream streams[SIM_STREAMS];
	uint64_t next_stream_id;
	bool role_allowed[SIM_LISTENERS];
	uint64_t role_refused_ns[SIM_LISTENERS]; /* since when the answer was no; 0: it is not */
	bool uid_allowed[SIM_UIDS];
	struct sim_key *keys;
	uint64_t key_count; /* 1.. are given out */
	/* for the tests */
	/* Each question of rights, as kmsd's own policy would have to answer it; NULL: nobody looks. */
	void (*asked)(
		struct sim *s, const char *principal, const char *action, const char *resource);
	uint64_t generated, unwraps, attested, ever_refused, ever_away;
};

/* What became of a record: by id. */
struct sim_record {
	uint8_t stream; /* slot */
	bool put;
	uint8_t copies; /* that reached the port, or 1 for a put */
	uint8_t stored; /* blocks that have it and are not known to be lost */
	uint64_t delivered_ns;
	uint64_t stream_id; /* of the put */
};

struct sim_shard {
	uint64_t *ids; /* by sequence number */
	uint64_t next, cap;
	uint64_t acked, seen; /* behind the last number acknowledged / given to a reader */
	uint64_t read_to; /* by the reader that is open now */
};

/* An append that may not be durable yet. */
struct sim_append {
	uint64_t lsn, next, stream_id;
	uint32_t shard;
	unsigned lane;
};

struct sim_put {
	struct dp_put *put; /* NULL: the place is free */
	uint64_t id;
};

struct sim_right {
	bool known, asking, wanted;
	struct dp_ask ask;
	int status;
	uint64_t until_ns;
};

struct sim_frame {
	struct rte_mbuf *m;
	unsigned port;
	uint32_t records; /* that the parser has to find; 0: the frame is damaged, one drop */
	uint64_t at_ns;
	uint64_t ids[8];
};

struct sim_reader {
	struct jnl_reader *reader;
	bool gap_allowed; /* damage was reported since */
	uint64_t blocks; /* it was given, and one of them by chance: */
	char victim[96];
	uint64_t victim_pos, victim_len;
	struct {
		uint64_t epoch_id;
		struct jnl_epoch_key *key;
	} * keys;
	size_t key_count, key_cap;
};

struct sim {
	uint64_t seed;
	enum sim_plant plant;
	struct seal_thread *seal; /* the reader's */
	struct simdisk *disk;
	const char *dir; /* of the journal: SIM_DIR, unless it lies on a real disk */
	bool real_disk;
	struct attester *attester; /* borrowed */
	struct seal_attest_keys *trusted; /* borrowed */

	/* the configuration of this seed */
	struct dp_config config;
	struct dp_port_config port_configs[SIM_PORTS];
	struct dp_listener_config listeners[SIM_LISTENERS];
	unsigned workers;
	bool with_puts, heavy;

	/* the process */
	bool running;
	struct jnl *journal;
	struct jnl_recovery recovery;
	struct slk_error start_error;
	struct dp_port ports[SIM_PORTS];
	struct dp_port *port_lists[SIM_PORTS][SIM_PORTS];
	struct dp_worker *worker[SIM_PORTS];
	struct dp_control *control;
	struct dp_keeper *keeper;
	struct dp_vmgen vmgen;
	uint64_t duplicated_ns; /* keys that were asked for before have another user now */
	int control_fd, door_fd;
	bool disk_failed; /* a fault was let loose on it in this process */
	bool in_sleep, stopping;

	/* around it */
	struct sim_kms kms;
	struct sim_frame air[SIM_IN_AIR];
	unsigned air_count;
	uint32_t queued_records[SIM_PORTS][SIM_FRAMES_QUEUED]; /* per frame in the port, in order */
	uint64_t queued_head[SIM_PORTS], queued_tail[SIM_PORTS];
	uint64_t units[SIM_PORTS]; /* records and drops that the taken frames stand for */
	struct sim_put puts[SIM_PUTS_MAX];
	struct sim_right rights[SIM_UIDS][SIM_STREAMS];
	uint64_t puts_failed[SIM_PORTS]; /* of this process, by worker */
	struct sim_reader reader;

	/* the model */
	struct sim_record *records;
	uint64_t record_count, record_cap;
	struct sim_shard shards[SIM_STREAM_IDS][SIM_SHARDS];
	struct sim_append *appends;
	size_t append_count, append_cap;

	/* the end, if there is one */
	jmp_buf escape;
	enum sim_invariant violated;
	unsigned findings;
	char sentence[600];
	/* for the summary */
	uint64_t appended, acknowledged, read, crashes, frames, puts_done, rolls;
};

/* The one that the seams look at. */
extern struct sim *sim_now;

/* --- sim.c: the process --- */

/* DPDK and what all lives share; once per program. Fails the program with a sentence. */
void sim_setup(void);
void sim_teardown(void);

/* Live through one seed. SIM_OK, or what did not hold; out_sentence (600 bytes) says more. */
enum sim_invariant sim_live(uint64_t seed, enum sim_plant plant, char *out_sentence);

struct sim_totals {
	uint64_t records, acknowledged, read, crashes, frames, puts, rolls, seals, keys;
};
/* Of all lives so far. */
struct sim_totals sim_totals(void);

/* s: zeroed, its escape set. */
void sim_begin(struct sim *s, uint64_t seed, enum sim_plant plant);
void sim_end(struct sim *s); /* tidies up whatever there is */

/* Start ingestd: recover, make everything. SLK_OK or what a fault of the disk led to. */
int sim_start(struct sim *s);
/* It dies now. */
void sim_crash(struct sim *s, enum simdisk_crash how);
/* It is asked to stop, and does. */
void sim_stop(struct sim *s);

_Noreturn void sim_violation(struct sim *s, enum sim_invariant invariant, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
#define SIM_CHECK(s, invariant, condition) \
	do { \
		if (!(condition)) \
			sim_violation((s), (invariant), "%s:%d: %s", __FILE_NAME__, __LINE__, \
				#condition); \
	} while (0)
#define SIM_MUST(s, call) SIM_CHECK(s, SIM_STUCK, (call) == SLK_OK)

static inline uint64_t
sim_below(struct sim *s, uint64_t n)
{
	return simdisk_random(s->disk) % n;
}
static inline uint64_t
sim_time(const struct sim *s)
{
	return simdisk_now_ns(s->disk);
}

/* --- sim_life.c: what happens, by chance --- */
void sim_life(struct sim *s);
/* One turn of each thread of ingestd, in this order. */
void sim_turn_worker(struct sim *s, unsigned worker);
void sim_turn_lane(struct sim *s, unsigned lane);
void sim_turn_control(struct sim *s);
void sim_turn_keeper(struct sim *s);
void sim_turn_all(struct sim *s);

/* --- sim_kms.c --- */
void sim_kms_init(struct sim *s);
void sim_kms_step(struct sim *s); /* something changes there */
/* The data key of a wrapped one, as a reader with kms:Decrypt gets it. */
int sim_kms_unwrap(struct sim *s, struct slk_span wrapped, struct slk_secret **out);
struct sim_key *sim_kms_key(struct sim *s, struct slk_span wrapped);

/* --- sim_net.c --- */
void sim_net_setup(void);
void sim_net_teardown(void);
void sim_net_open(struct sim *s); /* the ports of a new process */
void sim_net_close(struct sim *s); /* what lies in them is gone */
void sim_net_send(struct sim *s); /* a producer sends a datagram */
void sim_net_send_to(struct sim *s, unsigned listener); /* and nothing befalls it */
void sim_net_step(struct sim *s); /* what is due reaches the ports */
/* The frames that the worker has taken since the last call are known by now. */
void sim_net_taken(struct sim *s, unsigned port, uint64_t frames_total);

/* --- sim_puts.c: what the door does --- */
void sim_put_send(struct sim *s);
void sim_put_reap(struct sim *s);
void sim_put_forget(struct sim *s); /* the process is dead: nobody answers */

/* --- sim_model.c --- */
#define SIM_MARK "SLKRECRD" /* the first bytes of every record */
#define SIM_KEY_MARK "SLKDTKEY" /* and of every data key */
uint64_t sim_record_new(struct sim *s, unsigned stream, bool put);
/* The bytes that belong to an id; returns their number, at most cap. */
size_t sim_record_bytes(const struct sim *s, uint64_t id, uint8_t *out, size_t cap);
struct sim_shard *sim_shard(struct sim *s, uint64_t stream_id, uint32_t shard);
/* Is this the record, byte by byte? Returns its id. */
uint64_t sim_record_check(struct sim *s, struct slk_span data);
void sim_take_acknowledgements(struct sim *s, unsigned lane);
/* After recovery: shards end where readers find them to. */
void sim_model_recovered(struct sim *s);

/* --- sim_watch.c: looking on at the seams --- */
void sim_watch_reset(struct sim *s); /* of a whole life */
void sim_watch_reserve(uint64_t blocks); /* room for that many, so that nothing grows later */
void sim_watch_died(struct sim *s); /* keys of a dead process are gone with it */
void sim_watch_keys(struct sim *s, unsigned lane); /* none lies about for long */
void sim_watch_disk(void *arg, const void *buf, size_t len);
uint64_t sim_watch_seals(void);

/* Faults that are planted between two steps. */
void sim_plant_watermark(struct jnl_lane *lane);
void sim_plant_forget(struct jnl *journal);

/* --- sim_read.c --- */
void sim_read_open(struct sim *s);
void sim_read_close(struct sim *s);
void sim_read_some(struct sim *s, unsigned blocks);
void sim_read_all(struct sim *s); /* to the end; everything acknowledged is there */
void sim_read_lies(struct sim *s); /* through a disk that reads wrong */
void sim_verify(struct sim *s); /* jnl_verify() finds nothing */

#endif
