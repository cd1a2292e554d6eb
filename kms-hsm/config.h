/* clang-format off */
/* kmsd.yaml: the one configuration file of sealock-kmsd, read by the monitor and by the front.
 *
 *     account: "000000000000"            # optional; twelve digits, quoted
 *     region: local                      # optional
 *     front_user: sealock-kms            # optional; used when started as root
 *     socket:
 *       path: /run/sealock/kms/kms.sock
 *       mode: 0660                       # optional
 *       group: sealock                   # optional; the front's own group when absent
 *     catalog:
 *       path: /var/lib/sealock/kms/catalog.db
 *     audit:
 *       path: /var/lib/sealock/kms/audit.log
 *       second: {file: /mnt/other/audit.log}    # optional; or {syslog: /dev/log}: where lines go, too
 *       deadline_ms: 2000                # optional; 10..60000; longer waits no answer for a sink
 *       reserve_mb: 4                    # optional; kept free for refusals when the disk is full; 1..1024
 *       head_interval_s: 60              # optional; how often the chain's head is signed, if anything was written
 *       head_lines: 10000                # optional; or after so many lines
 *     hsm:
 *       profile: softhsm                 # a row of hsm/profile.h
 *       module: /usr/lib/softhsm/libsofthsm2.so
 *       token_label: sealock
 *       certificate: "FIPS 140-3 #4711"   # optional; your word that this module, firmware and mode are validated
 *       token_serial: "..."              # optional, recommended: the token must have it, too
 *       pin_file: /var/lib/sealock/hsm/pin                 # the worker's alone; or pin_credential
 *       pin_credential: hsm-pin          # or: the unit's LoadCredential= of that name, for the worker alone
 *       state_file: /var/lib/sealock/hsm/pin.state         # default: pin_file + ".state"
 *       softhsm_conf: /var/lib/sealock/hsm/softhsm2.conf   # optional; SOFTHSM2_CONF of the worker
 *       module_parameters: "..."         # optional; string for C_Initialize where the profile takes one
 *       module_paths: ["/opt/vendor"]    # optional; what the module reads and writes; confines it to that
 *       sessions: 2                      # optional; 1..16 of each worker, default: the profile's
 *       workers: 1                       # optional; worker processes, 1..8, default and limit: the profile's
 *       deadline_ms: 5000                # optional; a module call that takes longer costs the worker its life
 *       start_deadline_ms: 30000         # optional; the same for initialising, opening and logging in
 *       worker_user: sealock-hsm         # optional; used when started as root
 *       worker_program: /usr/sbin/sealock-hsm-worker       # optional; default: beside sealock-kmsd
 *     ingest_user: sealock-ingest        # optional; ingestd's user, a door
 *     gateway_user: sealock-gateway      # optional; the gateway's user, who asks for days' signing keys
 *     gateway_peers: off                 # optional; on: it may name programs of this host by their uid
 *     gateway_requests: 256              # optional; 16..256; how many of its requests may be in progress, of others 64
 *     deliver_user: sealock-deliver      # optional; deliverd's user, who assumes the roles of delivery streams
 *     admins: [root]                     # optional; who may send administrative requests
 *     principals:                        # optional; which uid is which principal; all others are denied
 *       - user: alice                    # name or number
 *         arn: user/alice                # short for arn:aws:iam::ACCOUNT:user/alice
 *     roles: [role/syslog]               # optional; principals that ingestd may name for its listeners
 *     policy:                            # optional; counts as identity policies (docs/policies.md)
 *       - sid: readers                   # optional
 *         effect: Allow                  # or Deny, which wins
 *         principals: [user/alice]       # short forms or ARNs; the wildcards * and ? match in all three
 *         actions: ["kms:Decrypt"]
 *         resources: ["*"]               # key/ID, alias/NAME, stream/NAME, deliverystream/NAME, user/NAME, role/NAME, policy/NAME or ARNs
 *     dual_control:                      # optional; off without it (docs/dual-control.md)
 *       approvals: 2                     # by so many others than the requester; 1..10
 *       actions: ["kms:ScheduleKeyDeletion", "iam:*"]   # what changes something in kms, iam or kinesis
 *       expires_hours: 24                # optional; 1..720
 *
 * An unknown key, a wrong type or a value out of range is refused with its line. Thread: start-up only.
 */
/* clang-format on */
#ifndef KMS_HSM_CONFIG_H
#define KMS_HSM_CONFIG_H

#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

struct kms_config_hsm {
	char *profile;
	char *module;
	char *token_label;
	char *certificate; /* NULL: none is claimed */
	char *token_serial; /* NULL: not compared */
	char *pin_file; /* NULL: another way */
	char *pin_credential; /* NULL: another way */
	char *state_file;
	char *softhsm_conf; /* NULL: environment untouched */
	char *module_parameters; /* NULL: none */
	char **module_paths; /* absolute */
	uint32_t module_paths_count;
	uint32_t sessions; /* 0: the profile's */
	uint32_t workers; /* the profile's where the file says nothing */
	uint32_t deadline_ms;
	uint32_t start_deadline_ms;
	char *worker_user;
	char *worker_program; /* NULL: beside sealock-kmsd */
};

struct kms_config_socket {
	char *path;
	uint32_t mode;
	char *group; /* NULL: the front's own */
};

struct kms_config_file {
	char *path;
};

struct kms_config_second {
	char *file, *syslog; /* one of them, or neither */
};

struct kms_config_audit {
	char *path;
	struct kms_config_second second;
	uint32_t deadline_ms, reserve_mb;
	uint32_t head_interval_s, head_lines;
};

struct kms_config_principal {
	char *user;
	char *arn;
};

struct kms_config_statement {
	char *sid; /* NULL: none */
	char *effect;
	char **principals;
	char **actions;
	char **resources;
	uint32_t principals_count;
	uint32_t actions_count;
	uint32_t resources_count;
};

#define KMS_CONFIG_APPROVALS_MAX 10u

struct kms_config_dual {
	uint32_t approvals; /* 0: off */
	char **actions;
	uint32_t actions_count;
	uint32_t expires_hours;
};

enum { KMS_CONFIG_UNSET, KMS_CONFIG_ON, KMS_CONFIG_OFF };
#define KMS_CONFIG_ON_DEMAND 25u /* rotations of one key, as in AWS */

struct kms_config {
	char *account;
	char *region;
	char *front_user;
	struct kms_config_socket socket;
	struct kms_config_file catalog;
	struct kms_config_audit audit;
	struct kms_config_hsm hsm;
	uint32_t on_demand_rotations; /* of one key */
	char *ingest_user; /* NULL: no door */
	char *gateway_user; /* NULL: no gateway */
	int gateway_peers; /* KMS_CONFIG_ON: it may name callers by uid */
	uint32_t gateway_requests; /* of the gateway that may be in progress; of others 64 */
	char *deliver_user; /* NULL: no deliverd */
	char **admins; /* NULL: root */
	uint32_t admins_count;
	struct kms_config_principal *principals;
	uint32_t principals_count;
	char **roles;
	uint32_t roles_count;
	struct kms_config_statement *policy;
	uint32_t policy_count;
	struct kms_config_dual dual_control;
};

/* SLK_CONFIG, SLK_NOT_FOUND, SLK_DENIED, SLK_NO_MEMORY, each with a sentence. Absent fields are
 * filled in. */
MUST_USE int kms_config_load(
	const char *path, struct kms_config **out_config, struct slk_error *err);

/* NULL is allowed. */
void kms_config_free(struct kms_config *config);

#endif
