/* countersign verify: the verdict of common/chat/judge.h, printed. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "certs/file.h"
#include "client/command.h"
#include "client/print.h"
#include "client/profile.h"
#include "common/chat/entry.h"
#include "common/chat/judge.h"
#include "common/crypto/pem.h"
#include "common/util/time.h"

/* A transcript and its receipt, written side by side at the end of a session. */
#define FLAT_END    ".txt"
#define RECEIPT_END ".receipt"

/* What follows from a verdict, and what does not, by kind. */
static const struct {
    const char *proves, *not_this;
} limits[BUNDLE_KIND_COUNT] = {
    [BUNDLE_MESSAGES] = {"whoever held these keys signed these messages; the relay had them in "
                         "this order when it signed the checkpoint",
                         "that a key was in its owner's hands; that anybody read a message; that "
                         "nothing was sent which the relay never numbered; times by other clocks "
                         "than the relay's and the author's"},
    [BUNDLE_SESSION] = {"whoever held these keys signed these messages; each of who sealed the "
                        "receipt had them in this order, without a gap, when he did",
                        "that a key was in its owner's hands; that anybody read a message; what a "
                        "seal that is not there would say; times by other clocks than theirs"},
    [BUNDLE_CONTRADICTION] = {"the relay signed two histories of this room",
                              "which of the two is true, or why"},
    [BUNDLE_AUDIT] =
        {"the relay had these lines in its audit log, in this order, when it signed the "
         "checkpoint",
         "that what a line says is true; that everything was written down; from which "
         "address somebody came, to whoever has not the key of its week"},
};

/* What is consistent under a root that nobody brought convinces nobody. */
static bool valid(const struct verdict *v)
{
    return v->consistent && v->anchored;
}

/* --- for people --- */

static void hash_line(const char *what, const struct hash *h)
{
    char groups[FP_GROUPS];

    fp_groups(groups, h);
    print_line("%-11s %s", what, groups);
}

static void checkpoint_line(const char *what, const struct checkpoint *c)
{
    char time[TIME_TEXT], root[HASH_B64 + 1];

    time_put(time, c->time);
    b64_put(root, span_of(c->tree.root.b, HASH_LEN));
    print_line("%-11s %llu entries, root %s, signed %s", what, (unsigned long long)c->tree.size,
               root, time);
}

static void authors_lines(const struct verdict *v)
{
    for (size_t i = 0; i < v->authors_n; i++) {
        const struct verdict_author *a = &v->authors[i];
        struct clean name, device;
        print_line("%-11s %s on %s: %zu message%s", "author", clean(&name, a->name),
                   clean(&device, a->device), a->messages, a->messages == 1 ? "" : "s");
        hash_line("", &a->fp);
        clean_free(&name);
        clean_free(&device);
    }
}

/* A message that is alone, as its author meant it. */
static void text_lines(const struct verdict *v)
{
    char sent[TIME_TEXT], received[TIME_TEXT];
    struct content c;
    struct err e = {0};
    struct clean text;

    time_put(sent, v->sent);
    time_put(received, v->received);
    print_line("%-11s %s by the author's clock, %s by the relay's", "sent", sent, received);
    if (v->withheld > 0 || content_take(&c, buf_span(&v->content), &e) < 0) {
        print_line("%-11s %s", "text",
                   v->withheld > 0 ? "withheld" : "not in a form that this version can read");
        return;
    }
    if (c.kind == CONTENT_SAY)
        print_line("%-11s %s", "text", clean_lines(&text, c.text));
    else
        print_line("%-11s a message of kind %s", "text", clean_lines(&text, c.name));
    clean_free(&text);
    content_free(&c);
}

static void messages_lines(const struct verdict *v)
{
    if (v->first == v->last) {
        print_line("%-11s number %llu", "message", (unsigned long long)v->first);
        text_lines(v);
    } else {
        print_line("%-11s %llu to %llu, %zu without their text", "messages",
                   (unsigned long long)v->first, (unsigned long long)v->last, v->withheld);
    }
    authors_lines(v);
}

/* A line alone, as it stands: it has no byte but printable ASCII. */
static void audit_lines(const struct verdict *v)
{
    struct span line = buf_span(&v->content);

    if (v->first != v->last)
        print_line("%-11s %llu to %llu", "lines", (unsigned long long)v->first,
                   (unsigned long long)v->last);
    else
        print_line("%-11s %.*s", "line", (int)line.n, (const char *)line.p);
}

static void list_line(const char *what, const char *which, int64_t from)
{
    char time[TIME_TEXT];

    time_put(time, from);
    print_line("%-11s list %s as of %s: what was revoked after that is not seen in it", what, which,
               time);
}

/* What the relay has signed of the room. */
static void checkpoints_lines(const struct verdict *v)
{
    struct clean relay;

    print_line("%-11s %s", "relay", clean(&relay, v->relay));
    clean_free(&relay);
    hash_line("", &v->checkpoint.signer);
    checkpoint_line("checkpoint", &v->checkpoint);
    if (v->kind == BUNDLE_CONTRADICTION)
        checkpoint_line("later", &v->later);
}

static void seal_lines(const struct verdict_seal *s, enum receipt_role role)
{
    char time[TIME_TEXT], what[32];
    struct clean name, device;

    snprintf(what, sizeof what, "by %s", receipt_role_word(role));
    if (!s->here) {
        print_line("%-11s not sealed", what);
        return;
    }
    time_put(time, s->seal.time);
    print_line("%-11s %s%s%s, %s", what, clean(&name, s->name), s->device[0] == '\0' ? "" : " on ",
               clean(&device, s->device), time);
    hash_line("", &s->seal.signer);
    clean_free(&name);
    clean_free(&device);
}

static void session_lines(const struct verdict *v)
{
    const struct receipt *r = &v->receipt;
    char session[2 * SESSION_ID_LEN + 1], time[TIME_TEXT];

    hex_put(session, span_of(r->session, sizeof r->session));
    time_put(time, r->created);
    print_line("%-11s %s, by %s with %s", "session", session, r->link, r->suite);
    print_line("%-11s created %s", "receipt", time);
    for (size_t i = 0; i < RECEIPT_ROLE_COUNT; i++)
        seal_lines(v->seals + i, (enum receipt_role)i);
    hash_line("transcript", &r->head);
    hash_line("previous", &r->previous);
}

static void stamp_lines(const struct verdict *v)
{
    char time[TIME_TEXT];
    struct clean name;

    if (v->stamped == VERDICT_STAMP_UNKNOWN)
        print_line("%-11s there is one, not judged: give the authority's CA with --tsa-ca",
                   "time stamp");
    if (v->stamped != VERDICT_STAMPED)
        return;
    time_put(time, v->stamp.time);
    print_line("%-11s %s by %s: the %s was there", "time stamp", time,
               clean(&name, v->stamp.authority),
               v->kind == BUNDLE_SESSION ? "receipt" : "checkpoint");
    clean_free(&name);
    hash_line("", &v->stamp.signer);
}

/* The room that it is about. */
static const uint8_t *room_of(const struct verdict *v)
{
    return v->kind == BUNDLE_SESSION ? v->receipt.room : v->checkpoint.room;
}

static void valid_lines(const struct verdict *v, const struct profile *known)
{
    char room[2 * ROOM_ID_LEN + 1];

    hex_put(room, span_of(room_of(v), ROOM_ID_LEN));
    print_line(v->anchored ? "VALID" : "UNANCHORED: consistent, but anybody can make such a root");
    print_line("%-11s %s", v->kind == BUNDLE_AUDIT ? "audit log" : "room", room);
    if (v->kind == BUNDLE_AUDIT)
        audit_lines(v);
    else if (v->kind != BUNDLE_CONTRADICTION)
        messages_lines(v);
    if (v->kind == BUNDLE_SESSION)
        session_lines(v);
    else
        checkpoints_lines(v);
    stamp_lines(v);
    hash_line(v->anchored ? "root, yours" : "root", &v->root);
    if (!v->anchored && known != NULL)
        print_line("%-11s the account \"%s\" here has joined under it: --ca %s/root.der", "",
                   known->name, known->dir);
    else if (!v->anchored)
        print_line("%-11s compare this SHA-256 with one that you got another way, or give --ca",
                   "");
    list_line("revocations", "inside", v->crl_from);
    if (v->given_from != 0)
        list_line("", "given", v->given_from);
    print_line("%-11s %s", "proves", limits[v->kind].proves);
    print_line("%-11s %s", "proves not", limits[v->kind].not_this);
}

/* --- for programs --- */

static void hash_value(struct jput *j, const char *key, const struct hash *h)
{
    jput_hex(j, key, span_of(h->b, HASH_LEN));
}

static void checkpoint_value(struct row *r, const char *key, const struct checkpoint *c)
{
    jput_open(&r->j, key, '{');
    jput_u64(&r->j, "size", c->tree.size);
    hash_value(&r->j, "root", &c->tree.root);
    row_time(r, "time", c->time);
    hash_value(&r->j, "signer", &c->signer);
    jput_close(&r->j, '}');
}

static void messages_values(struct row *r, const struct verdict *v)
{
    jput_u64(&r->j, "first", v->first);
    jput_u64(&r->j, "last", v->last);
    jput_u64(&r->j, "withheld", v->withheld);
    jput_open(&r->j, "authors", '[');
    for (size_t i = 0; i < v->authors_n; i++) {
        const struct verdict_author *a = &v->authors[i];
        jput_open(&r->j, NULL, '{');
        row_text(r, "name", a->name);
        row_text(r, "device", a->device);
        hash_value(&r->j, "fp", &a->fp);
        jput_u64(&r->j, "messages", a->messages);
        jput_close(&r->j, '}');
    }
    jput_close(&r->j, ']');
    if (v->first != v->last)
        return;
    row_time(r, "sent", v->sent);
    row_time(r, "received", v->received);
    if (v->withheld == 0)
        jput_b64(&r->j, "content", buf_span(&v->content));
}

static void audit_values(struct row *r, const struct verdict *v)
{
    struct span line = buf_span(&v->content);

    jput_u64(&r->j, "first", v->first);
    jput_u64(&r->j, "last", v->last);
    if (v->first == v->last)
        jput_str(&r->j, "line", str_from(line.p, line.n));
}

static void checkpoints_values(struct row *r, const struct verdict *v)
{
    row_text(r, "relay", v->relay);
    checkpoint_value(r, "checkpoint", &v->checkpoint);
    if (v->kind == BUNDLE_CONTRADICTION)
        checkpoint_value(r, "later", &v->later);
}

static void session_values(struct row *r, const struct verdict *v)
{
    const struct receipt *x = &v->receipt;

    jput_hex(&r->j, "session", span_of(x->session, sizeof x->session));
    row_text(r, "link", x->link);
    row_text(r, "suite", x->suite);
    row_time(r, "created", x->created);
    hash_value(&r->j, "peer", &x->peer);
    hash_value(&r->j, "transcript-hash", &x->head);
    hash_value(&r->j, "previous", &x->previous);
    jput_open(&r->j, "seals", '[');
    for (size_t i = 0; i < RECEIPT_ROLE_COUNT; i++) {
        const struct verdict_seal *s = v->seals + i;
        if (!s->here)
            continue;
        jput_open(&r->j, NULL, '{');
        row_text(r, "role", receipt_role_word((enum receipt_role)i));
        row_text(r, "name", s->name);
        row_text(r, "device", s->device);
        hash_value(&r->j, "fp", &s->seal.signer);
        row_time(r, "time", s->seal.time);
        jput_close(&r->j, '}');
    }
    jput_close(&r->j, ']');
}

static void stamp_value(struct row *r, const struct verdict *v)
{
    if (v->stamped == VERDICT_UNSTAMPED)
        return;
    jput_open(&r->j, "time-stamp", '{');
    jput_bool(&r->j, "judged", v->stamped == VERDICT_STAMPED);
    if (v->stamped == VERDICT_STAMPED) {
        row_time(r, "time", v->stamp.time);
        row_text(r, "authority", v->stamp.authority);
        hash_value(&r->j, "fp", &v->stamp.signer);
    }
    jput_close(&r->j, '}');
}

static void valid_values(struct row *r, const struct verdict *v, const struct profile *known)
{
    jput_bool(&r->j, "anchored", v->anchored);
    if (!v->anchored && known != NULL)
        row_text(r, "profile", known->name);
    row_text(r, "kind", bundle_kind_name(v->kind));
    jput_hex(&r->j, v->kind == BUNDLE_AUDIT ? "audit-log" : "room",
             span_of(room_of(v), ROOM_ID_LEN));
    if (v->kind == BUNDLE_AUDIT)
        audit_values(r, v);
    else if (v->kind != BUNDLE_CONTRADICTION)
        messages_values(r, v);
    if (v->kind == BUNDLE_SESSION)
        session_values(r, v);
    else
        checkpoints_values(r, v);
    stamp_value(r, v);
    hash_value(&r->j, "root", &v->root);
    row_time(r, "crl", v->crl_from);
    if (v->given_from != 0)
        row_time(r, "crl-given", v->given_from);
    row_text(r, "proves", limits[v->kind].proves);
    row_text(r, "proves-not", limits[v->kind].not_this);
}

static int verdict_row(const struct verdict *v, const struct profile *known, struct err *e)
{
    struct row r;

    row_begin(&r, "verdict");
    jput_str(&r.j, "verdict",
             str_of(valid(v)        ? "valid"
                    : v->consistent ? "unanchored"
                                    : "invalid"));
    jput_bool(&r.j, "valid", valid(v));
    if (v->consistent) {
        valid_values(&r, v, known);
    } else {
        row_text(&r, "where", v->where);
        row_text(&r, "why", v->why.text);
    }
    return row_end(&r, e);
}

/* --- the command --- */

/* The account here, when it has joined under the root of this verdict. It vouches for nothing: that
 * the verdict is its owner's to draw stays with --ca. */
static const struct profile *account_under(const struct call *c, const struct verdict *v,
                                           struct profile *p)
{
    struct err none = {0};

    return v->consistent && profile_where(p, c->conf.profile, &none) == 0 && profile_exists(p) &&
                   profile_load(p, c->conf.profile, &none) == 0 && hash_same(&p->root_fp, &v->root)
               ? p
               : NULL;
}

static int verdict_print(const struct call *c, const struct verdict *v, struct err *e)
{
    struct clean where;
    struct profile profile;
    const struct profile *known = account_under(c, v, &profile);

    if (c->json)
        return verdict_row(v, known, e);
    if (v->consistent) {
        valid_lines(v, known);
        return print_flush(e);
    }
    print_line("INVALID\n%s: %s", clean(&where, v->where), v->why.text);
    clean_free(&where);
    return print_flush(e);
}

static int verify(struct call *c, struct span archive, const struct belief *belief, struct err *e)
{
    struct verdict v;

    judge_bundle(archive, belief, &v);
    int rc = verdict_print(c, &v, e);
    if (!v.consistent)
        rc = err_set(e, v.why.code == ERR_LOCAL ? ERR_LOCAL : ERR_DATA, "%s is not valid evidence",
                     c->args[0]);
    else if (!v.anchored)
        rc = err_set(e, ERR_AUTH, "%s is consistent, but whose it is nobody says: see --ca",
                     c->args[0]);
    verdict_free(&v);
    return rc;
}

/* The judge's own verdict on what is not even read. */
static int too_big(const struct call *c, struct err *e)
{
    struct verdict v = {.where = "bundle"};

    (void)err_set(&v.why, ERR_DATA, "too big");
    return verdict_print(c, &v, e) < 0
               ? -1
               : err_set(e, ERR_DATA, "%s is not valid evidence", c->args[0]);
}

/* A file that is too long is no better later: bad data, not a limit that passes. */
static int read_whole(const char *path, struct buf *out, struct err *e)
{
    int rc = file_read(path, FILE_PUBLIC, out, e);

    if (rc < 0 && e->code == ERR_LIMIT)
        e->code = ERR_DATA;
    return rc;
}

/* The archive, of which so much is read as may be one: what is longer is none. */
static int archive_judge(struct call *c, const char *path, const struct belief *belief,
                         struct err *e)
{
    struct buf archive;
    int rc;

    buf_init(&archive, BUNDLE_MAX);
    if (file_read(path, FILE_PUBLIC, &archive, e) == 0) {
        rc = verify(c, buf_span(&archive), belief, e);
    } else if (e->code == ERR_LIMIT) {
        err_clear(e);
        rc = too_big(c, e);
    } else {
        rc = -1;
    }
    buf_free(&archive);
    return rc;
}

/* A flat transcript is judged by the receipt beside it, which has the same lines inside. */
static int flat_judge(struct call *c, struct belief *belief, struct err *e)
{
    size_t stem = strlen(c->args[0]) - (sizeof FLAT_END - 1);
    char path[PATH_MAX];
    struct buf flat;
    int rc;

    if (snprintf(path, sizeof path, "%.*s" RECEIPT_END, (int)stem, c->args[0]) >= PATH_MAX)
        return err_set(e, ERR_INPUT, "%s: the name is too long", c->args[0]);
    buf_init(&flat, BUNDLE_MAX);
    rc = read_whole(c->args[0], &flat, e);
    if (rc == 0) {
        belief->flat = flat.p == NULL ? span_of("", 0) : buf_span(&flat);
        rc = archive_judge(c, path, belief, e);
    }
    buf_free(&flat);
    return rc;
}

static bool is_flat(const char *path)
{
    size_t n = strlen(path), end = sizeof FLAT_END - 1;

    return n > end && strcmp(path + n - end, FLAT_END) == 0;
}

int der_read(const char *option, const char *path, const char *label, struct buf *der,
             struct err *e)
{
    struct buf file;

    if (path == NULL)
        return 0;
    buf_init(&file, der->max * 2);
    int rc = read_whole(path, &file, e);
    if (rc == 0)
        rc = pem_or_der(buf_span(&file), label, der, e);
    buf_free(&file);
    return rc == 0 ? 0 : err_in(e, "%s %s", option, path);
}

int command_verify(struct call *c, struct err *e)
{
    struct buf root, crl, tsa;
    int rc = -1;

    if (c->args_n != 1)
        return err_set(e, ERR_USAGE, "verify wants the name of one file");
    buf_init(&root, CERT_MAX * 4);
    buf_init(&crl, CRL_MAX);
    buf_init(&tsa, CERT_MAX);
    if (der_read("--ca", c->ca, PEM_CERT, &root, e) == 0 &&
        der_read("--crl", c->crl, PEM_CRL, &crl, e) == 0 &&
        der_read("--tsa-ca", c->tsa_ca, PEM_CERT, &tsa, e) == 0) {
        struct span r = buf_span(&root);
        struct belief belief = {
            .roots = &r, .roots_n = r.n > 0, .crl = buf_span(&crl), .tsa = buf_span(&tsa)};
        rc = is_flat(c->args[0]) ? flat_judge(c, &belief, e)
                                 : archive_judge(c, c->args[0], &belief, e);
    }
    buf_free(&root);
    buf_free(&crl);
    buf_free(&tsa);
    return rc;
}
