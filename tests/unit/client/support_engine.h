/* support_engine.h -- an engine and the relay it talks to, in memory. The relay is honest until a
 * test makes it lie. */
#ifndef TESTS_UNIT_CLIENT_SUPPORT_ENGINE_H
#define TESTS_UNIT_CLIENT_SUPPORT_ENGINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/core/engine.h"
#include "common/chat/account.h"
#include "common/chat/content.h"
#include "common/chat/entry.h"
#include "common/chat/frame.h"
#include "common/chat/proto.h"
#include "common/crypto/issue.h"

/* MALLORY: another CA's certificate for bob; BOB_NEW: bob, enrolled again by ours; ALICE_OLD: her
 * former device; EVE: another CA's certificate for alice */
enum who { ALICE, BOB, CAROL, MALLORY, BOB_NEW, ALICE_OLD, EVE, PEOPLE };

enum { LOG_MAX = 80, SAID_MAX = 8 };

struct der {
    uint8_t b[CERT_MAX];
    size_t n;
};

struct person {
    const char *name, *device;
    struct pkey *key;
    struct der leaf, issuer;
    struct hash fp;
    uint64_t seq; /* as an honest author counts */
    struct hash prev;
};

/* An entry as the relay has it. */
struct item {
    struct entry_made made;
    uint64_t number;
    int64_t time;
};

struct told {       /* what the engine told its program */
    unsigned seats; /* good joins, leaves and invitations; good: all others */
    unsigned good, refused, alarms, notes, caught, answers, ready, passwords, closes, states;
    char text[TEXT_MAX + 1], why[256], alarm[512], close[256], kind[64];
    char all_alarms[8192];
    enum err_code close_code, answer_code;
    bool again, vouched, is_signed, older;
    enum engine_own state;
    uint64_t number, seq, numbers[LOG_MAX];
    unsigned numbers_n;
};

struct evidence; /* support_evidence.h */

struct stage {
    struct rng rng;
    int64_t now, mono;
    struct pkey *root_key, *inter_key, *other_root_key, *other_inter_key;
    struct der root, inter, other_root, other_inter;
    struct person who[PEOPLE];
    struct trust *trust;
    struct keep keep;
    struct engine *g;
    struct engine_peer peer;
    struct key salted;
    const struct account_key *login; /* NULL: nothing was kept of joining */
    uint8_t salt[SALT_LEN];
    struct frames in; /* what the engine says */

    /* the relay */
    struct room_id room;
    struct item log[LOG_MAX];
    size_t log_n;
    uint64_t from;
    enum room_kind kind;
    bool is_signed;              /* alice's join is in the log */
    bool carol_in;               /* listed as a member */
    bool bob_new;                /* bob is listed with a further device */
    int64_t bob_new_revoked;     /* since when; 0: it is not */
    bool dave_is_bob_new;        /* listed: one dave, with that certificate */
    bool bob_out;                /* not listed, whatever he signed */
    uint64_t roll_cut;           /* the roll leaves out this number; 0: none */
    uint64_t roll_with;          /* the roll has this number too, whatever it says */
    bool roll_stands;            /* the roll says nothing, and goes no further */
    unsigned rolls;              /* asked for */
    unsigned joins_said;         /* joins, leaves and invitations of alice: not among `said` */
    enum content_kind seat_said; /* the last of them, */
    char seat_line[LINE_MAX_LEN + 1];
    struct hash seat_roster; /* and what it said */
    uint64_t seat_at;
    bool seat_with;
    const char *called;      /* the room, in what the relay says of it; NULL: by its kind */
    bool unasked;            /* nobody here ever asked to be in the room */
    bool paged;              /* the engine reads the last page of a new room first */
    unsigned links;          /* connections so far */
    bool unrecorded;         /* it keeps nothing for receipts of a session that is cut */
    bool answers_lost;       /* of joins, leaves, invitations: the relay has them all the same */
    bool mute, mute_seats;   /* does not answer entries; joins, leaves, invitations */
    bool lie_head, lie_hole; /* history: wrong head; number hole_at is left out */
    uint64_t hole_at;
    uint64_t lie_first; /* history: it begins so much later than it was asked for */
    bool lie_about;     /* answers of this type: as if asked about other_room */
    enum frame_type about;
    struct room_id other_room;
    bool ephemeral;         /* the room, in what the relay says of it */
    bool gone;              /* welcome without the room */
    struct account_id with; /* direct: the other's account */
    bool lie_proof;         /* welcome without knowing the password */
    bool lie_cert;          /* answers with another certificate than asked for */
    bool lie_crl;           /* welcome without a revocation list */
    uint64_t crl_number;
    bool lie_own; /* welcome without alice's last line */
    bool has_own; /* this one in its place */
    struct f_own own;
    struct item *insert; /* history: this one in place of its number */
    char said_line[SAID_MAX][LINE_MAX_LEN + 1];
    uint8_t said_sig[SAID_MAX][SIG_MAX];
    struct hash said_body[SAID_MAX];
    unsigned said_n;
    uint64_t delivered;
    unsigned history_asked, logins, resumes;
    struct evidence *evidence; /* borrowed; NULL: this relay signs nothing */
    struct told told;
};

/* Keys and certificates are made once a process: stage_world for group setup and teardown. */
int stage_world(void **state);
int stage_world_end(void **state);

/* Logged out; in the room are bob, with his join as entry 1, and nobody else. At her first login
 * alice signs hers: entry 2. */
struct stage *stage_new(void **state);
struct stage *stage_empty(void **state, enum room_kind kind); /* nobody is in the room */
/* A join, leave or invitation as an honest person signs it; not in the log yet. */
struct item *stage_join(struct stage *s, enum who who);
struct item *stage_leave(struct stage *s, enum who who);
struct item *stage_invite(struct stage *s, enum who who, enum who guest);
void stage_roster(struct stage *s, struct hash *out); /* of those who are members by the log */
struct account_id stage_account(enum who who);
void stage_free(struct stage *s);
struct engine *stage_engine(struct stage *s); /* a new engine on the same keep */
void stage_login(struct stage *s);            /* to READY, through password or token */
void stage_link(struct stage *s);             /* linked and hello only */
void stage_welcome(struct stage *s, uint64_t re, bool proof);
/* The room, as an answer or (re 0) unasked; by: who invited, or NULL. */
void stage_offer(struct stage *s, uint64_t re, const char *by);
void stage_lost(struct stage *s);

/* Honest content of the next entry of a person; not in the log yet. */
struct item *stage_write(struct stage *s, enum who who, const char *text);
/* The same from parts, signed by `signer`: for lies. content is the whole JSON. */
struct item *stage_forge(struct stage *s, enum who signer, struct entry_line *l,
                         const char *content);
void stage_line(struct stage *s, enum who who, struct entry_line *l); /* what an honest one says */
void stage_resign(struct stage *s, struct item *it, enum who signer, const struct entry_line *l);
void stage_log(struct stage *s, struct item *it);  /* the relay numbers it */
void stage_push(struct stage *s, struct item *it); /* numbers it and delivers it */
void stage_send(struct stage *s, struct item *it); /* delivers under the number it has */
void stage_head(struct stage *s, uint64_t number, struct hash *out);
void item_free(struct item *it);

/* Feeds one frame of the relay, then serves whatever the engine asks and gathers its events. */
void stage_feed(struct stage *s, enum frame_type type, const void *body);
void stage_serve(struct stage *s);
void stage_answer(struct stage *s, enum frame_type type, const void *body); /* one frame alone */
void stage_signer(struct stage *s, struct person *out,
                  const char *relay); /* evidence certificate */
void stage_revoke(struct stage *s, enum who who, int64_t when);
struct room_id stage_room_id(uint8_t fill);
uint64_t stage_say(struct stage *s, const char *text, struct err *e);

#endif
