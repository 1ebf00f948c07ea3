/* model.h -- what the screen shows: connection, handshake, rooms, messages, people, draft.
 *
 * Pure state, filled from the engine's events (show.h) and commands (act.h), drawn by view.h. Every
 * text that a peer or a relay chose passes text_clean on its way in, here and nowhere else; what
 * stands in the model may be drawn as it is. All texts are owned copies. */
#ifndef CLIENT_CORE_MODEL_H
#define CLIENT_CORE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "client/core/keep.h"
#include "common/crypto/randomart.h"
#include "common/link/link.h"
#include "common/util/bytes.h"
#include "common/util/limits.h"

/* Local time of day, as people read it. */
struct stamp {
    int year, mon, day, hour, min; /* mon, day from 1 */
    int wday;                      /* 0: Sunday */
};

/* State of a message: a character first, a colour second. */
#define MARKS(X)                                                                                   \
    X(MARK_NONE, ' ', "good, from a certificate you verified")                                     \
    X(MARK_QUEUED, '.', "queued on this computer")                                                 \
    X(MARK_RELAY, '>', "the relay has it")                                                         \
    X(MARK_DELIVERED, '+', "on a device of the other person")                                      \
    X(MARK_FAILED, '!', "failed, the row says why")                                                \
    X(MARK_UNVERIFIED, '?', "signature good, certificate not verified by you")                     \
    X(MARK_REFUSED, 'X', "refused, the text is withheld")                                          \
    X(MARK_UNSIGNED, '~', "not signed: anybody may have written or changed it")

#define X(id, glyph, text) id,
enum mark { MARKS(X) };
#undef X

char mark_glyph(enum mark m);
const char *mark_text(enum mark m);

enum { MODEL_TEXT_SHORT = 160, MODEL_TRIES = 5, MODEL_STEPS = 24, MODEL_CERTS = 4 };

struct message {
    uint64_t serial;      /* unique in this model, for anchors */
    uint64_t number, seq; /* number 0: the relay has not numbered it, or a line of our own */
    int64_t at;           /* ms since 1970 */
    struct stamp when;    /* the same in local time */
    enum mark mark;
    bool own, system, alarm;     /* system: a sentence of ours; with a number: on a signed entry */
    unsigned delivered, members; /* 0, 0: not told */
    struct hash fp;
    char *sender; /* "" for system lines: they are shown as from "--" */
    char *text;   /* "" when withheld */
    char *note;   /* why it was refused, voided or is odd; NULL */
};

struct person {
    char name[MODEL_TEXT_SHORT];
    bool online, owner, left, verified;
    unsigned devices;
    char proof[MODEL_TEXT_SHORT]; /* what bears out that he is a member */
    bool proven;
};

enum window_kind { WINDOW_STATUS, WINDOW_PUBLIC, WINDOW_PRIVATE, WINDOW_DIRECT, WINDOW_GUEST };

/* One window. The first one is the client's own, without a room behind it. */
struct window {
    enum window_kind kind;
    struct room_id id;
    char name[MODEL_TEXT_SHORT];
    char topic[TOPIC_MAX * 2];
    bool ephemeral; /* its room is in the relay's memory alone */
    bool joined, broken, read_only, begun;
    bool blocked;  /* a member's certificate is new: nothing is sent */
    bool loading;  /* an older page has been asked for */
    bool filled;   /* the first page of what is kept here has been asked for */
    bool verified; /* direct: the newest certificate of the other was verified */
    int64_t verified_at;
    struct hash peer; /* direct: that certificate; zeros when not known */
    char peer_device[MODEL_TEXT_SHORT];
    unsigned unread, mentions, queued;
    uint64_t refused;
    struct message *messages; /* owned, in order of number */
    size_t messages_n, messages_cap;
    uint64_t fresh; /* serial of the first unread one when the window was entered; 0: none */
    /* Where the view stands: `anchor` is the lowest message shown, `below` of its rows are under
     * the edge. anchor 0: at the bottom. */
    uint64_t anchor;
    unsigned below;
    struct person *people; /* owned */
    size_t people_n;
    char *draft; /* kept while another window is shown; NULL */
};

enum conn {
    CONN_OFF,     /* not connected and not trying */
    CONN_TRYING,  /* name, socket */
    CONN_SHAKING, /* handshake */
    CONN_LOGIN,
    CONN_READY,
    CONN_WAITING /* the next try comes in retry_ms */
};

/* One row of the handshake: a step of the link, or the login and its answer. */
struct step {
    unsigned number;
    bool out, local, waiting, failed, above; /* local: struct link_row; above: of the login */
    size_t bytes;
    uint64_t at_us, took_us;
    char name[32], wire[48], proves[96], detail[200];
};

/* A certificate as people read it. */
struct shown_cert {
    char subject[MODEL_TEXT_SHORT], issuer[MODEL_TEXT_SHORT], names[MODEL_TEXT_SHORT];
    char key[32], signature[40], usage[96], serial[48];
    int64_t from, until;
    struct stamp from_day, until_day;
    struct hash fp;
};

/* One try to connect, from the first byte to the welcome. */
struct attempt {
    unsigned number;
    char where[MODEL_TEXT_SHORT];
    struct step steps[MODEL_STEPS];
    unsigned steps_n, total;
    char version[32], suite[64], group[32];
    struct shown_cert peer[MODEL_CERTS], own[MODEL_CERTS];
    unsigned peer_n, own_n;
    struct shown_cert pin; /* the root of the invite; fp zeros: none */
    bool pinned;           /* the relay's chain ends in it */
    bool done;
    char failure[300], next[120]; /* what failed and was expected; one command */
};

struct shown_device {
    char name[MODEL_TEXT_SHORT];
    struct hash fp;
    int64_t since, revoked, verified_at;
    struct stamp since_day, revoked_day, verified_day;
    bool verified, fetched;
    char problem[200]; /* the certificate is not in order */
    struct shown_cert leaf, issuer;
    struct randomart art;
};

/* The inspector's page. */
struct inspection {
    char name[MODEL_TEXT_SHORT];
    bool self, online;
    struct shown_device devices[DEVICES_MAX];
    unsigned devices_n, device;
    unsigned good, refused; /* messages of his in the windows here */
    struct stamp first, last;
};

struct page_line {
    char *left; /* a column of its own, or NULL */
    char *text;
    bool strong;
};

enum view { VIEW_CHAT, VIEW_HANDSHAKE, VIEW_INSPECT, VIEW_TRANSCRIPT, VIEW_PAGE };

/* A page of text: help, why, status. */
struct page {
    char title[MODEL_TEXT_SHORT];
    struct page_line *lines; /* owned */
    size_t lines_n, top;
    enum view under; /* what is shown when it is closed */
};

/* One signed line of the transcript. */
struct shown_line {
    uint64_t number, seq;
    int64_t time, sent; /* ms: the relay's clock, the author's (0: unreadable) */
    struct stamp when;  /* time, local */
    struct hash fp, hash, prev;
    size_t sig_bytes, body_bytes;
    bool is_signed; /* by the certificate that it names */
    bool good;      /* and in its place: nothing about it was refused */
    char from[MODEL_TEXT_SHORT], device[MODEL_TEXT_SHORT];
    char *text; /* owned; what it says, or why that is withheld */
};

enum { TRANSCRIPT_LINES = 1000, TRANSCRIPT_BYTES = 4 * 1024 * 1024 }; /* of the bodies */

/* The last lines of a room, and what a judge says who believes our root alone. */
struct transcript {
    struct room_id id;
    char room[MODEL_TEXT_SHORT]; /* its name */
    struct shown_line *lines;    /* owned */
    size_t lines_n, lines_cap, chosen;
    bool judged, valid;
    char problem[400];          /* why it was not judged, or what is wrong, and where */
    uint64_t first, last, size; /* judged: messages; entries under the relay's signature */
    size_t withheld;
    struct hash root, signer; /* of that tree; the relay's evidence certificate */
    char relay[MODEL_TEXT_SHORT];
    struct stamp signed_when;
};

/* The line editor's state, copied here before drawing. */
struct input {
    char *text; /* owned; not NUL-terminated */
    size_t n, cap, point;
    char prompt[MODEL_TEXT_SHORT]; /* of an incremental search; "": the window's */
    size_t held;                   /* bytes of a paste that waits for a yes; 0: none */
};

struct model_conf {
    void (*local)(void *ctx, int64_t ms, struct stamp *out);
    void *ctx;
};

struct model {
    struct model_conf conf;
    int64_t now; /* ms; set by the program before it draws */
    struct stamp clock;

    char relay[MODEL_TEXT_SHORT], account[MODEL_TEXT_SHORT], device[MODEL_TEXT_SHORT];
    enum conn conn;
    unsigned attempt;
    int64_t retry_at, offline_since; /* ms; 0: none */
    char why[300];                   /* why we are not connected */

    struct attempt tries[MODEL_TRIES]; /* the newest is tries[tries_n - 1] */
    unsigned tries_n, shown_try, shown_step;
    bool explain; /* the selected step is explained */
    bool hs_auto; /* opened by connecting: closes when the chat is ready */

    struct window *windows; /* owned */
    size_t windows_n, windows_cap, current, previous;

    enum view view;
    struct inspection inspect;
    struct transcript transcript;
    struct page page;
    char *alarm; /* the oldest not yet seen; NULL */
    unsigned alarms;
    char hint[MODEL_TEXT_SHORT]; /* an answer to the last key, gone with the next */
    struct input input;
    uint64_t serial;
    bool settled; /* logged in once: from now on windows keep their numbers */
    bool guest;   /* of `classic`: no account, nobody is proven */
    bool quiet;   /* joins and presence are not written into windows */
};

/* NULL: no memory. The first window is there. */
struct model *model_new(const struct model_conf *conf);
void model_free(struct model *m); /* NULL is fine */
void model_clock(struct model *m, int64_t now);

/* Copies text with every byte that a terminal could take amiss made visible. _name: on one row. */
void model_clean(char *out, size_t cap, const char *text);
char *model_clean_text(struct str text); /* newlines stay; owned by the caller; never NULL */

/* --- windows --- */

struct window *model_window(struct model *m, const struct room_id *id); /* NULL: none */
struct window *model_window_named(struct model *m,
                                  struct str name); /* "room", "@name", unique start */
struct window *model_window_add(struct model *m, const struct room_id *id, enum window_kind kind,
                                const char *name);
void model_window_drop(struct model *m, const struct room_id *id);
struct window *model_current(struct model *m);
void model_switch(struct model *m, size_t index);       /* marks it read */
bool model_next_active(struct model *m, size_t *index); /* mentions first; false: none */
bool model_name_is(const struct window *w, const char *name);

/* --- messages --- */

/* What a message is made from; texts as the peer sent them. */
struct message_in {
    uint64_t number, seq;
    int64_t at;
    enum mark mark;
    bool own, older, silent; /* silent: counts as read */
    bool system;             /* text is a sentence of ours on what the sender signed */
    unsigned delivered, members;
    struct hash fp;
    const char *sender;
    struct str text;
    const char *note;
};

/* Puts it where its number belongs; an entry already there (same author and seq) is changed. */
void model_message(struct model *m, struct window *w, const struct message_in *in);
/* The good one: a refused entry may claim any author and count. */
struct message *model_find(struct window *w, const struct hash *fp, uint64_t seq);
/* A line of our own, from "--". w NULL: in the current window. */
void model_say(struct model *m, struct window *w, const char *fmt, ...) PRINTF_LIKE(3, 4);
void model_alarm(struct model *m, struct window *w, const char *text);
void model_alarms_seen(struct model *m);
void model_window_clear(struct window *w);
/* Marks in every window what this certificate signed as verified. */
void model_verified(struct model *m, const struct hash *fp);

/* --- handshakes --- */

struct attempt *model_try(struct model *m, unsigned number); /* begins one */
struct attempt *model_last_try(struct model *m);             /* NULL: none yet */
struct attempt *model_shown_try(struct model *m);
void model_step(struct model *m, const struct link_step *s);
/* A step above the link: the login. The same name again changes the row. */
void model_step_above(struct model *m, const struct step *s);
void model_try_failed(struct model *m, const char *why, const char *next);

/* --- transcript --- */

/* An empty one. */
void model_transcript(struct model *m, const struct room_id *id, const char *room);
/* A copy of `line` with text in it, as the peer sent that. */
void model_transcript_line(struct model *m, const struct shown_line *line, struct str text);

/* --- pages --- */

void model_page(struct model *m, const char *title); /* an empty one, and shows it */
/* The same with a term at the left that the text explains. */
void model_page_pair(struct model *m, const char *left, const char *text);
void model_page_line(struct model *m, bool strong, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
