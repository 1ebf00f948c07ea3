/* act.h -- the person's side of the client: what is typed becomes calls on the engine, what the
 * engine says becomes the model. Pure but for the few functions in struct act_ops. */
#ifndef CLIENT_CORE_ACT_H
#define CLIENT_CORE_ACT_H

#include "client/core/engine.h"
#include "client/core/model.h"

/* What only the program can do. */
struct act_ops {
    void (*quit)(void *ctx);
    void (*connect)(void *ctx); /* now, also when a later try is planned */
    void (*disconnect)(void *ctx);
    bool (*rekey)(void *ctx); /* false: not now */
    /* Evidence into a new file. -1 and e. */
    int (*keep)(void *ctx, const char *path, struct span bundle, struct err *e);
    /* A receipt of what was said in each room: client_seal. */
    int (*seal)(void *ctx, struct err *e);
    void (*set_point)(void *ctx, size_t point); /* the cursor in the draft */
    void (*redraw)(void *ctx);
    void (*suspend)(void *ctx);
    /* A guest's text, unsigned; only where there is no engine. false and e: not sent. */
    bool (*say)(void *ctx, struct str text, struct err *e);
};

enum { ACT_ASKS_MAX = 16 };

/* A request whose answer has not come. */
struct act_ask {
    uint64_t id; /* 0: free */
    enum {
        ASK_PLAIN,  /* say when it failed, or `what` when it worked */
        ASK_OPEN,   /* go to the room in the answer, and send `text` there */
        ASK_OLDER,  /* a page of history */
        ASK_LIST,   /* rooms */
        ASK_PERSON, /* a certificate for the inspector */
    } kind;
    struct room_id window; /* where it was asked; zeros: status */
    char what[MODEL_TEXT_SHORT];
    char *text; /* owned; NULL */
};

struct act {
    struct model *m;
    struct engine *g; /* NULL: a guest of `classic` */
    const struct act_ops *ops;
    void *ctx;
    struct hash own_fp;
    struct span own_leaf, own_issuer, root; /* DER; live as long as the program */
    struct act_ask asks[ACT_ASKS_MAX];
};

/* A whole line. pasted: its first word came out of a paste. false: keep it as the draft. */
bool act_line(struct act *a, struct str line, bool pasted);

/* What happened. */
void act_event(struct act *a, const struct engine_event *ev);
/* `classic`: its window, and a text that came or was said. Everything in it bears the mark. */
void act_guest_window(struct act *a);
void act_guest_text(struct act *a, struct str text, bool own);
/* After a step: what the link knows by now. */
void act_link(struct act *a, const struct link_info *info);
/* A try failed for good: what, and the word of a certificate rule or NULL. */
void act_failed(struct act *a, const struct err *why, const struct link_info *info);
/* Login begins, ended: the two steps above the link. at_us: since the try began. */
void act_login(struct act *a, uint64_t at_us, bool done);

/* A certificate as people read it; all zeros when it cannot be read. */
void cert_shown(struct model *m, struct span der, struct shown_cert *out);
void act_inspect(struct act *a, struct str name);
void act_older(struct act *a, struct window *w);
/* hide: numbers whose texts stay out. */
void act_transcript(struct act *a, struct str what, struct str file, struct str hide);
void act_transcript_open(struct act *a); /* of the current window */
void act_help(struct act *a, struct str topic);

/* Keys that are not editing; in the order of the help. `seq` are the bytes a terminal sends. */
#define KEYS(X)                                                                                    \
    X(KEY_ESC, "Esc", "back to the chat")                                                          \
    X(KEY_UP, "Up", "row up, older input; in views: the entry above")                              \
    X(KEY_DOWN, "Down", "row down, newer input; in views: the entry below")                        \
    X(KEY_LEFT, "Left", NULL)                                                                      \
    X(KEY_RIGHT, "Right", NULL)                                                                    \
    X(KEY_ENTER, "Enter", "send; with nothing typed and no connection: connect now")               \
    X(KEY_NEWLINE, "M-Enter C-j", "newline (also: a \\ at the end, then Enter)")                   \
    X(KEY_PAGE_UP, "PgUp", "scroll up; at the top older messages are loaded")                      \
    X(KEY_PAGE_DOWN, "PgDn", "scroll down")                                                        \
    X(KEY_TOP, "M-< M-Home", "to the top")                                                         \
    X(KEY_BOTTOM, "M-> M-End", "to the newest message")                                            \
    X(KEY_HELP, "F1", "this help")                                                                 \
    X(KEY_INSPECT, "F2", "certificates of the person of this window")                              \
    X(KEY_HANDSHAKE, "F4", "the handshake, step by step")                                          \
    X(KEY_TRANSCRIPT, "F8", "what is signed in this window, checked again")                        \
    X(KEY_PREVIOUS, "F5 M-Left", "window before")                                                  \
    X(KEY_NEXT, "F6 M-Right", "window behind")                                                     \
    X(KEY_ACTIVE, "M-a", "next window with news, mentions first")                                  \
    X(KEY_QUIET, "M-=", "hide or show who joins and leaves")                                       \
    X(KEY_SEEN, "M-h", "mark everything as read")                                                  \
    X(KEY_CLEAR, "C-c", "clear the draft")                                                         \
    X(KEY_REDRAW, "C-l", "draw the screen anew")                                                   \
    X(KEY_SUSPEND, "C-z", "suspend; fg comes back")                                                \
    X(KEY_WINDOW, "M-0 .. M-9", "go to that window")

#define X(id, keys, text) id,
enum screen_key { KEYS(X) KEY_COUNT = KEY_WINDOW + 10 }; /* KEY_WINDOW + n: that window */
#undef X

/* false: not ours here; the line editor shall have it. rows, cols: of the screen. */
bool act_key(struct act *a, enum screen_key key, unsigned rows, unsigned cols);

void act_free(struct act *a); /* what it owns, not what it points to */

#endif
