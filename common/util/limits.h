/* limits.h -- every bound of the program, once, and the relations between them proved.
 *
 * Sizes in bytes, times in milliseconds unless a name says otherwise. A bound that an operator may
 * change is the default here and an option in server/conf.h. */
#ifndef COMMON_UTIL_LIMITS_H
#define COMMON_UTIL_LIMITS_H

#include <assert.h>
#include <stdint.h>

/* What is said (docs/protocol.md) */
enum {
    FRAME_HEAD = 4,              /* u32 big-endian length */
    FRAME_MAX = 1024 * 1024,     /* the JSON behind it */
    FRAME_MAX_EARLY = 64 * 1024, /* the same before login */
    JSON_DEPTH = 8,
    TEXT_MAX = 64 * 1024, /* text of one message */
    CONTENT_MAX =
        400 * 1024, /* its content object: every byte of the text may be escaped as \u00XX */
    OPENING_LEN = 32,
    BODY_MAX = OPENING_LEN + CONTENT_MAX,
    SEAT_CONTENT_MAX =
        2048,              /* the same of a join, leave or invitation, which relays keep longest */
    LINE_MAX_LEN = 512,    /* an entry's line, without LF */
    SIG_MAX = 512,         /* RSA-4096 */
    NAME_MAX_LEN = 32 * 4, /* bytes of a person's, device's or room's name; 32 characters */
    NAME_CHARS = 32,
    TOPIC_MAX = 512,
    HISTORY_MAX = 100,                 /* entries in one page */
    HISTORY_BYTES = FRAME_MAX * 3 / 4, /* JSON bytes of entries in one page */
    ROOMS_MAX = 128,                   /* rooms of one account */
    MEMBERS_MAX = 1000,                /* members of one room */
    ROSTER_ROWS_MAX =
        16 * MEMBERS_MAX,         /* stays and invitations of a room that a client remembers */
    DEVICES_MAX = 8,              /* devices of one account */
    KNOWN_MAX = 16 * 1024,        /* certificates of others that a client remembers */
    DELIVERED_MEMBERS_MAX = 32,   /* larger rooms do not report deliveries */
    TS_FUTURE_MS = 5 * 60 * 1000, /* how far ahead of the relay's clock an entry may be */
    SKEW_SHOWN_MS = 2 * 60 * 1000,
};

/* Identities */
enum {
    HASH_LEN = 32,
    ROOM_ID_LEN = 16,
    ACCOUNT_ID_LEN = 16,
    TOKEN_LEN = 16,  /* invite */
    RESUME_LEN = 32, /* resume token */
    NONCE_LEN = 32,  /* login nonces */
    SALT_LEN = 16,   /* account salt, as drawn */
    CERT_MAX = 4096, /* DER of one certificate */
    CSR_MAX = 4096,
    CRL_MAX = 256 * 1024,
    CRL_ENTRIES_MAX = 5000, /* in one list; what is left out: certs/ca.c */
    CHAIN_MAX = 4,          /* certificates below the root, leaf included */
    PASSWORD_MAX = 1024,
    INVITE_MAX = 512,
};

/* Frames and the JSON in them (common/chat) */
enum {
    JSON_KEYS_MAX = 64,          /* keys of one object */
    JSON_KEY_MAX = 64,           /* bytes of a key as it is written */
    JSON_NODES_MAX = 128 * 1024, /* values in one frame: bounds the memory of its tree */
    FEATURES_MAX = 32,
    FEATURE_MAX = 64,
    RELAY_NAME_MAX = 253,  /* a DNS name */
    REASON_MAX = 1024,     /* sentences: error, again, void */
    NAME_ASKED_MAX = 1024, /* of a name somebody asks for: longer is malformed, not bad-name */
    ROOM_ROWS_MAX = 1000,  /* rooms in one answer to room-list */
};

/* Evidence (common/evidence, docs/evidence.md) */
enum {
    CHECKPOINT_MAX = 256,   /* its text */
    HASH_B64 = 44,          /* a SHA-256 in base64 */
    RECEIPT_MAX = 1536,     /* its text */
    RECEIPT_SEAL_MAX = 128, /* what each signer adds to it */
    RECEIPT_WORD_MAX = 48,  /* name of a link, or of its suite */
    CADES_MAX = 16 * 1024,  /* its CMS signature: two certificates, a name, and 1 KiB */
    TSR_MAX = 16 * 1024,    /* a reply of a time-stamp authority */
    SESSION_ID_LEN = 16,
    PROOF_MAX = 128,                      /* hashes: two for each level of a tree, and more */
    TAR_NAME_MAX = 96,                    /* of a file in a bundle */
    BUNDLE_CERTS_MAX = 4096,              /* authors and signers in one bundle */
    BUNDLE_MAX = 512 * 1024 * 1024,       /* its bytes */
    TRANSCRIPT_MAX = 1024 * 1024,         /* its lines */
    REDACT_MAX = 4096,                    /* texts left out of one bundle by their numbers */
    AUDIT_LINE_MAX = 1536,                /* a line of the audit log, without LF */
    AUDIT_WORD_MAX = NAME_MAX_LEN,        /* bytes of an event, a name, a reason in it */
    AUDIT_WEEK_MS = 7 * 24 * 3600 * 1000, /* addresses in it are under one key */
    AUDIT_SPAN_MS = 60 * 1000,            /* what strangers do is counted in one line so long */
};
#define EXACT_INT_MAX ((UINT64_C(1) << 53) - 1) /* what every reader of JSON keeps exactly */

/* The relay (server/core) */
enum {
    EMAIL_MAX = 254,
    ROOM_KEY_MAX = 3 * NAME_MAX_LEN + 1, /* a room's canonical name, or "@" and two accounts */
    LOGIN_SEALED_LEN = 24 + 2 * 32 + 16, /* nonce, StoredKey and ServerKey, tag */
    INVITE_LIFE_MS = 24 * 3600 * 1000,
    INVITE_ANSWER_MS = 3600 * 1000,   /* the same token and key get the same answer */
    RESUME_IDLE_MS = 15 * 60 * 1000,  /* after the connection ended */
    RESUME_MAX_MS = 12 * 3600 * 1000, /* after the password */
    GUESSES_FREE = 5,                 /* failures without a wait; then it doubles */
    GUESS_WAIT_MS = 1000,
    GUESS_WAIT_MAX_MS = 15 * 60 * 1000,
    PENALTIES_MAX = 10 * 1000, /* sources and accounts remembered */
    AUDIT_SOURCES_MAX = 1000,  /* rows of refused strangers in one minute */
    AUDIT_DAYS = 7,            /* then addresses leave the audit log */
    AUDIT_DAYS_MAX = 3650,
    AUDIT_FORGET_MAX = 1000,       /* of these in one turn */
    LOGIN_MS = 2 * 60 * 1000,      /* hello and login, or join, behind a good certificate */
    JOBS_MAX = 64,                 /* of one connection under way: then it is not read from */
    LOGINS_MAX = 8,                /* challenges asked for on one connection */
    HEADS_KEPT = 64,               /* last heads of a room in memory */
    ROOMS_EVER_MAX = 1024,         /* rooms one was ever in: then no more are made */
    INVITED_MAX = 128,             /* invitations to rooms that one has not followed */
    ACCOUNT_CONNS_MAX = 32,        /* connections of one account, logged in */
    EPHEMERAL_ROOMS_MAX = 256,     /* at one time */
    WINDOW_ENTRIES = 512,          /* of an ephemeral room that the relay still has */
    WINDOW_BYTES = 256 * 1024,     /* ... and their memory, but for the latest one */
    SEATS_BYTES = 4 * 1024 * 1024, /* of joins, leaves and invitations that outlive the window */
    EPHEMERAL_BYTES = 128 * 1024 * 1024, /* of all of them: nothing in them grows any more */
    EPHEMERAL_SEATS_MAX = 16,            /* of one account: members of, or admitted to, that many */
    FORMERS_MAX = 4096,         /* an account's lines that a new certificate may follow on */
    CHECKPOINTS_IDLE = 8,       /* a second, of rooms whose checkpoint nobody asked for */
    CHECKPOINTS_ASKED = 64,     /* ... and in all: more wait for their turn */
    CHECKPOINTS_WAITING = 4096, /* requests for one that is still to be signed */
    CHECK_PAUSE_MS = 60 * 1000, /* between two that a client asks for, give or take a third */
    SEALS_BURST = ROOMS_MAX,    /* receipts of an account sealed at once; then one a second */
    SEALS_WAITING = 256,        /* of all accounts, until they are signed */
    SEAL_WAIT_MS = 4 * 1000,    /* how long a client waits for it, and so for its end */
    SEAL_AGAIN_MS = 15 * 1000,  /* after `busy` it asks again */
    COSIGN_BURST = 32,          /* seals on others' receipts at once; then one each */
    COSIGN_MS = 1000,
    SEALS_OPEN_MAX = 256,  /* receipts that a client offers again; the oldest give way */
    RECEIPT_NAME_MAX = 80, /* what a client calls its files */
};

/* Links and connections */
enum {
    LINK_EARLY_MAX = 64 * 1024,     /* bytes from a peer not yet proven, handshake in all */
    LINK_SHAKE_MAX = 16 * 1024,     /* the same where the handshake is our own */
    LINK_NONCE_LEN = 16,            /* of a seed code */
    LINK_NONCES_MAX = 64,           /* of these a client remembers */
    LINK_OUT_MAX = 4 * 1024 * 1024, /* waiting for one reader before it is too slow (F1) */
    LINK_IN_MAX = 4 * 1024 * 1024,  /* opened and not yet taken by the program */
    LINK_TICKETS_MAX = 8,           /* session tickets dropped in the client's role */
    LINK_MESSAGE_MAX = 16 * 1024,   /* one of them */
    LINK_BARREN_MAX = 32,           /* records in a row that carry no data: KeyUpdates and others */
    LINK_ASKS_MAX = 8,              /* of these at our own wish, before they must carry something */
    LINK_REKEY = 1 << 22,           /* records under one key before it is changed */
    LINK_KEY_MAX = 1 << 23,         /* ... and before that is fatal: AES-GCM is good for 2^24.5 */
    LINK_FRESH_MS = 5 * 60 * 1000,  /* `cianr`: a record whose time is further away is noted */
    CLASSIC_SAY_MAX = 4096,         /* `classic`: a guest's text; a terminal's line is no longer */
    CLASSIC_TEXT_MAX = 4 * CLASSIC_SAY_MAX + 64,          /* ... cleaned, behind its address */
    CLASSIC_LINE_MAX = 2 * (CLASSIC_TEXT_MAX + 64) + 256, /* ... sealed, in hex, in its line */
    CLASSIC_BURST = 20,                                   /* texts of a guest before he waits ... */
    CLASSIC_REFILL = 5,               /* ... and how many more each turn of the loop */
    CLASSIC_IDLE_MS = 60 * 60 * 1000, /* a guest who says nothing for so long is sent away */
    HANDSHAKE_MS = 30 * 1000,
    HANDSHAKES_MAX = 50,
    HANDSHAKES_PER_SOURCE = 10,
    CONNS_DEFAULT = 100,
    PING_MS = 30 * 1000,
    DRAIN_MS = 10 * 1000,
};

/* The screen */
enum {
    WINDOW_MESSAGES_MAX = 5000,  /* kept in one window, the oldest leave it */
    DRAFT_MAX = TEXT_MAX,        /* what is longer cannot be sent, so it is not taken */
    PASTE_MAX = 8 * 1024 * 1024, /* what is longer is dropped unread */
    INPUT_HISTORY_MAX = 1000,    /* lines of the input history kept on disk */
    OLDER_PAGE = 50,             /* messages asked for when the top is reached */
};

/* Options and log lines (common/util, programs) */
enum {
    OPT_TEXT_MAX = 256,        /* a text option with its NUL */
    CONF_FILE_MAX = 64 * 1024, /* a configuration file */
    KV_VALUE_MAX = 256,        /* bytes of one value before it is cut */
    KV_LINE_MAX = 2048,
};

/* The relay's shell (server/) */
enum {
    LOOPS_MAX = 64,
    WORKERS_MAX = 64,
    CONNS_MAX = 1000 * 1000,
    ACCEPTS_MAX = 64,              /* connections taken in one turn of the loop */
    ACCEPT_PAUSE_MS = 100,         /* without file descriptors: how long nobody is asked in */
    CONN_READ_MAX = 64 * 1024,     /* bytes read from one connection in one turn */
    WRITE_SLICE = 64 * 1024,       /* sealed for one connection at a time, and one more frame */
    POOL_BLOCKS = 256,             /* of a loop, for what is being sent */
    POOL_BLOCK_MAX = 256 * 1024,   /* bigger ones are not kept */
    LINGER_MS = 2 * 1000,          /* how long a peer may take to read our last words */
    TURN_MS = 1000,                /* deadlines, pings and other processes' writes are looked at */
    TRIM_TURNS = 3,                /* without newcomers: free memory goes to the system */
    SEQUENCER_WAIT_MS = 250,       /* the store is looked at, jobs or not */
    BATCH_MAX = 1024,              /* jobs in one transaction */
    BATCH_BYTES = 2 * 1024 * 1024, /* ... and about as much of frames made by them */
    FLOOD_SLOTS = 1024,            /* sources of events that are counted at the same time */
    FLOOD_SOURCE = 10,             /* lines a second for one event from one source */
    FLOOD_EVENT = 100,             /* ... and from all sources */
    FLOOD_REPORTS = 100,           /* lines a second that say how many were left out of a source */
    LEAF_RENEW_DAYS = 30,          /* the relay's certificate is made anew when less is left */
    CRL_RENEW_DAYS = 20,           /* and the revocation list */
    RENEW_MS = 60 * 60 * 1000,     /* how often that is looked at */
    HOSTS_MAX = 8,                 /* names in the relay's certificate */
};

static_assert(CRL_ENTRIES_MAX * 51 + 1024 <= CRL_MAX, "a full revocation list can be sent");
static_assert(LINK_REKEY <= LINK_KEY_MAX / 2, "a peer who is asked for a new key has time for it");

static_assert(SEALS_WAITING * 10 < SEAL_WAIT_MS, "a full queue is signed while its clients wait");
static_assert((int)SEALS_BURST <= (int)SEALS_WAITING, "one account's rooms fit the queue");

static_assert(POOL_BLOCK_MAX >= 2 * WRITE_SLICE, "a slice's block is kept, grown by doubling");

static_assert(ROSTER_ROWS_MAX > MEMBERS_MAX, "whoever is a member now is never forgotten");

static_assert(ACCEPT_PAUSE_MS < TURN_MS, "a pause is shorter than a turn");

static_assert(KV_LINE_MAX >= 4 * KV_VALUE_MAX + 512, "a value of escapes fits a line");

static_assert(AUDIT_LINE_MAX >= 3 * 3 * AUDIT_WORD_MAX + 2 * 2 * HASH_LEN + 5 * 17 + 32,
              "any line of the audit log fits");
static_assert(AUDIT_WEEK_MS % AUDIT_SPAN_MS == 0, "a counted minute is in one week");

static_assert(PROOF_MAX >= 2 * 53, "a proof of any range in any tree fits");

static_assert(BODY_MAX * 4 / 3 + LINE_MAX_LEN + SIG_MAX * 4 / 3 + 512 <= FRAME_MAX,
              "the longest entry fits a frame in base64");
static_assert(CONTENT_MAX >= TEXT_MAX * 6 + 64, "any text fits its content object");
static_assert(SEAT_CONTENT_MAX >= 2 * (NAME_MAX_LEN * 6 + 2 * ACCOUNT_ID_LEN) + 128 &&
                  SEAT_CONTENT_MAX >= NAME_MAX_LEN * 6 + 2 * ACCOUNT_ID_LEN + 2 * HASH_LEN + 128,
              "any join and any invitation fits");
static_assert(MEMBERS_MAX * (OPENING_LEN + SEAT_CONTENT_MAX + LINE_MAX_LEN + SIG_MAX + 512) <=
                  SEATS_BYTES,
              "the joins of a full room are kept");
static_assert(LINK_OUT_MAX >= 2 * (FRAME_MAX + FRAME_HEAD), "two full frames drop nobody");
static_assert(LINK_OUT_MAX >= BATCH_BYTES + FRAME_MAX + FRAME_HEAD, "nor does a batch");
static_assert(HISTORY_BYTES >= BODY_MAX * 4 / 3 + LINE_MAX_LEN + SIG_MAX * 4 / 3 + 512,
              "a page holds at least one entry of any size");

#endif
