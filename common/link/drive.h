/* drive.h -- the one driver under the links whose handshake is our own (docs/protocol.md 10).
 *
 * A protocol is a table of steps with two functions each: the writer's half and the reader's. The
 * driver owns everything that no handler may forget: the magic, whose turn it is, type, length,
 * what is sealed under which keys, the transcript, the bound on what a stranger may send, the one
 * answer to every failure, and the record layer behind the last step. A handler only says what its
 * message means. Both halves of a message stand side by side in the protocol's file.
 *
 * A new protocol: its file with a struct drive_proto and a struct link_proto made of DRIVEN, one
 * row in LINK_KINDS. Included by the files of common/link alone. */
#ifndef COMMON_LINK_DRIVE_H
#define COMMON_LINK_DRIVE_H

#include "common/crypto/x509.h"
#include "common/link/link_priv.h"

enum {
    DRIVE_HEAD = 5,    /* u8 type, u32 length */
    DRIVE_REFUSED = 0, /* the type of the answer to every failure; steps count from 1 */
    DRIVE_STEPS_MAX = 16,
};

struct drive; /* one end */

/* Who says it: goes into the context of every signature, MAC and key, so nothing can be sent back
 * to its author. */
enum drive_who { DRIVE_CLIENT, DRIVE_RELAY, DRIVE_BOTH };

/* One row of a step table. Its number on the wire is its place in the table, counted from 1. */
struct drive_step {
    unsigned stage; /* 0: in clear; n: sealed under the keys that the n-th drive_keys gave */
    size_t max;     /* bytes of its content at most */
    int (*build)(struct drive *d, struct wr *out) MUST_USE; /* the writer's half */
    int (*take)(struct drive *d, struct rd *in) MUST_USE;   /* the reader's half */
    /* What each side computes for itself: behind this frame, once it is in the transcript; or, in a
     * row without these two, as a step of its own. NULL: nothing. */
    int (*work)(struct drive *d) MUST_USE;
    /* What was seen, for people, cleaned; after the step. NULL: nothing to say. */
    void (*tell)(const struct drive *d, bool out, char *text, size_t cap);
};

/* What the last step leaves behind; wiped by the driver. */
struct drive_result {
    enum aead_kind aead;
    struct key secret[2]; /* of records, by enum role of who sends */
    struct key exporter;  /* of LINK_EXPORTER_LOGIN */
    bool ratchet;         /* see record.h */
};

struct drive_proto {
    const char *version; /* "ecdhe 1": link and version, part of every context */
    const char *magic;   /* the client's first bytes; names link and version, ends in LF */
    const struct drive_step *steps;
    size_t state_size; /* of the handlers' own struct: zero at first, wiped at the end */
    bool email;        /* a client that joins may say where it can be reached */
    bool cbc;          /* stages and records are sealed by crypto/cbc.h instead of an AEAD */
    /* What stands in the answer to a failure, where the document wants it told: to a certificate
     * that was refused, and to everything else. NULL: nothing, and nothing is learnt from it. */
    const char *bad_cert, *refused;
    int (*finish)(struct drive *d, struct drive_result *out) MUST_USE; /* behind the last step */
    void (*info)(const struct drive *d, struct link_info *out); /* suite and group, if known */
};

/* A protocol's step list (steps_*.h) becomes its rows by the first pair and its steps by the
 * second:
 *
 *     static const struct link_row rows[] = {STEPS_ECDHE(DRIVE_ROW, DRIVE_ROW_LOCAL)};
 *     static const struct drive_step steps[] = {STEPS_ECDHE(DRIVE_STEP, DRIVE_STEP_LOCAL)}; */
#define DRIVE_ROW(id, who, stage, max, label, on_wire, what, fn)                                   \
    {.name = label, .wire = on_wire, .client_writes = who == ROLE_CLIENT, .proves = what},
#define DRIVE_ROW_LOCAL(id, label, what, fn)                                                       \
    {.name = label, .wire = "", .local = true, .proves = what},
#define DRIVE_STEP(id, who, stage, max, label, on_wire, what, fn)                                  \
    {stage, max, fn##_build, fn##_take, NULL, fn##_tell},
#define DRIVE_STEP_LOCAL(id, label, what, fn) {0, 0, NULL, NULL, fn##_work, fn##_tell},

/* Everything of a struct link_proto but rows and drive. */
#define DRIVEN                                                                                     \
    .ready_new = drive_ready_new, .ready_free = drive_ready_free, .open = drive_open,              \
    .free = drive_free, .feed = drive_feed, .eof = drive_eof, .out = drive_out,                    \
    .sent = drive_sent, .waiting = drive_waiting, .rest = drive_rest, .send = drive_send,          \
    .lend = drive_lend, .reclaim = drive_reclaim, .rekey = drive_rekey, .close = drive_close,      \
    .step = drive_next, .total = drive_total, .take = drive_take, .done = drive_done,              \
    .said = drive_said, .now = drive_now, .closed = drive_closed, .error = drive_error,            \
    .info = drive_info, .exporter = drive_exporter

void *drive_ready_new(const struct link_proto *p, enum role role, const struct link_conf *conf,
                      struct err *e);
void drive_ready_free(void *ready);
void *drive_open(void *ready, struct err *e);
void drive_free(void *end);
int drive_feed(void *end, const uint8_t *in, size_t n) MUST_USE;
int drive_eof(void *end) MUST_USE;
struct span drive_out(void *end);
void drive_sent(void *end, size_t n);
size_t drive_waiting(const void *end);
void drive_rest(void *end);
int drive_send(void *end, const uint8_t *msg, size_t n) MUST_USE;
void drive_lend(void *end, struct buf *block);
void drive_reclaim(void *end, struct buf *block);
int drive_rekey(void *end) MUST_USE;
void drive_close(void *end);
bool drive_next(void *end, struct link_step *s);
unsigned drive_total(const void *end);
struct span drive_take(void *end);
bool drive_done(const void *end);
bool drive_said(const void *end);
uint64_t drive_now(const void *end);
bool drive_closed(const void *end);
const struct err *drive_error(const void *end);
void drive_info(const void *end, struct link_info *out);
int drive_exporter(const void *end, const char *label, struct key *out) MUST_USE;

/* --- for handlers: what this end is --- */

enum role drive_role(const struct drive *d);
void *drive_state(struct drive *d); /* state_size bytes */
const void *drive_seen(const struct drive *d);
const struct rng *drive_rng(const struct drive *d);
unsigned drive_suites(const struct drive *d); /* allowed here: bits by enum aead_kind */
/* Notes why the handshake ends; -1. */
int drive_fail(struct drive *d, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* What the client comes for: u8, 0 to chat, 1 to join. Without a certificate only who joins. */
void drive_purpose_put(struct drive *d, struct wr *out);
int drive_purpose_take(struct drive *d, struct rd *in) MUST_USE;
bool drive_joins(const struct drive *d);
/* Where a client that joins can be reached: what ours has to say, NULL for nothing; and what the
 * peer's says of itself, -1 when that is no address. */
const char *drive_email(const struct drive *d);
int drive_email_keep(struct drive *d, struct str email) MUST_USE;

/* The steps from place `first` on are these rows, in this order. Only steps that are still to come.
 */
void drive_arrange(struct drive *d, size_t first, const uint8_t *rows, size_t n);
const char *drive_name(const struct drive *d, size_t place); /* of the step at that place */
const char *drive_due_name(const struct drive *d);           /* of the one that is due */
enum drive_who drive_writer(const struct drive *d);          /* who writes it */
/* false: the program's memory of nonces has it already. */
bool drive_fresh(const struct drive *d, const uint8_t nonce[LINK_NONCE_LEN]);
/* From now on it has. For when the peer is proven: a stranger must not push out what is known. */
void drive_spend(struct drive *d, const uint8_t nonce[LINK_NONCE_LEN]);

/* --- for handlers: transcript, contexts, keys (drive_keys.c) --- */

/* SHA-256 over magic and every frame before this one. With so_far (wr_span, or drive_before) as if
 * this frame were there too and ended with these bytes. */
void drive_hash(const struct drive *d, const struct span *so_far, struct hash *out);
struct span drive_before(const struct drive *d, const struct rd *in); /* what was read of it */

/* HKDF-Extract with the transcript's hash as salt. */
int drive_extract(struct drive *d, const struct hash *t, struct span secret,
                  struct key *out) MUST_USE;

/* HKDF-Expand; its info is this label: the context, and the transcript's hash. */
struct drive_label {
    enum drive_who who;
    const char *what;
    const struct hash *t;
};
int drive_expand(struct drive *d, const struct key *from, struct drive_label l, uint8_t *out,
                 size_t n) MUST_USE;
/* Keys of both directions for the frames of the next stage. */
int drive_keys(struct drive *d, enum aead_kind aead, const struct key *from,
               const struct hash *t) MUST_USE;

/* --- for handlers: fields that prove something (drive_prove.c) --- */

/* Our certificates: u8 how many, each u16 length and DER; none for a client that joins. */
void drive_chain_put(struct drive *d, struct wr *out);
/* The peer's, through the full check. None only where a client joins. */
int drive_chain_take(struct drive *d, struct rd *in) MUST_USE;
/* u16 length and our key's signature over context and transcript up to here; empty for a client
 * that joins. */
int drive_sign(struct drive *d, struct wr *out) MUST_USE;
int drive_verify(struct drive *d, struct rd *in) MUST_USE;
/* The same where the field is written in another form: here is the frame up to it. */
int drive_sign_over(struct drive *d, struct span here, struct wr *out) MUST_USE;
int drive_verify_over(struct drive *d, struct span here, struct rd *in) MUST_USE;
/* HMAC-SHA256 over context and transcript up to here. */
int drive_mac_put(struct drive *d, const struct key *k, struct wr *out) MUST_USE;
int drive_mac_take(struct drive *d, const struct key *k, struct rd *in) MUST_USE;

const char *drive_scheme(const struct drive *d, bool own); /* of signatures; NULL without a key */
const struct hash *drive_fp(const struct drive *d, bool own); /* of the leaf; NULL without one */
/* For people: subject, cleaned, and fingerprint of a certificate that was shown and no more; and,
 * behind `first`, the scheme by which its owner has just proven to be it. */
void drive_tell_shown(const struct drive *d, bool own, char *text, size_t cap);
void drive_tell_proof(const struct drive *d, bool own, const char *first, char *text, size_t cap);

#endif
