#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "client/ask.h"
#include "client/command.h"
#include "client/guest.h"
#include "client/net.h"
#include "client/print.h"
#include "client/shake_local.h"
#include "client/wire.h"

enum { PORT_DEFAULT = 7443 };

/* A handshake for its own sake: nothing is said but the link's own words. */
struct shake {
    struct call *call;
    struct rng rng;
    struct profile profile;
    struct profile_keys keys;
    struct trust *trust;
    struct span chain[2];
    struct aes_key file_key; /* classic */
    struct hash root;        /* without an account: what the relay itself presents */
    bool account, silent, done;
    char host[256];
    uint16_t port;
    uv_loop_t loop;
    struct wire *wire;
    struct link_conf link;
    struct story story;
    struct err err, print_err;
};

static void shake_end(struct shake *s, const struct err *why)
{
    if (s->done)
        return;
    s->done = true;
    if (why != NULL)
        s->err = *why;
    wire_hang_up(s->wire);
    uv_stop(&s->loop);
}

static void on_up(void *ctx, const char *where)
{
    struct shake *s = ctx;

    if (!s->silent && !s->call->json && !s->call->mermaid)
        print_line("connected to %s", where);
}

static void on_step(void *ctx, const struct link_step *step)
{
    struct shake *s = ctx;

    if (s->silent)
        return;
    story_add(&s->story, step);
    if (!s->call->mermaid)
        (void)!print_step(step, s->call->json, &s->print_err);
}

static void on_linked(void *ctx)
{
    shake_end(ctx, NULL);
}

static void on_message(void *ctx, struct span bytes)
{
    (void)ctx;
    (void)bytes;
}

static void on_rest(void *ctx)
{
    (void)ctx;
}

static void on_down(void *ctx, const struct err *why, bool final)
{
    (void) final;
    shake_end(ctx, why);
}

static int shake_once(struct shake *s, struct err *e)
{
    err_clear(&s->err);
    s->done = false;
    wire_dial(s->wire, &s->link, s->host, s->port);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    if (s->print_err.code != ERR_NONE)
        return err_set(e, s->print_err.code, "%s", s->print_err.text);
    return s->err.code == ERR_NONE ? 0 : err_set(e, s->err.code, "%s", s->err.text);
}

static int account_open(struct shake *s, struct err *e)
{
    struct password password = {{0}, 0};
    const struct profile *p = &s->profile;

    if (profile_load(&s->profile, s->call->conf.profile, e) < 0 ||
        profile_route(&s->profile, s->call->conf.link, s->call->conf.pin, e) < 0 ||
        password_get(&s->call->conf, "Password: ", &password, e) < 0)
        return -1;
    int ret = profile_unlock(p, str_from(password.text, password.n), &s->rng, &s->keys, e);
    password_wipe(&password);
    s->trust = trust_new(TRUST_CRL_OPTIONAL, e);
    if (ret < 0 || s->trust == NULL ||
        trust_add_root(s->trust, span_of(p->root, p->root_n), e) < 0 ||
        trust_add_intermediate(s->trust, span_of(p->issuer, p->issuer_n), e) < 0)
        return -1;
    s->chain[0] = span_of(p->leaf, p->leaf_n);
    s->chain[1] = span_of(p->issuer, p->issuer_n);
    s->link.kind = p->link;
    s->link.leaf = profile_pin(p);
    s->link.chain = s->chain;
    s->link.chain_n = COUNT(s->chain);
    s->link.key = s->keys.key;
    s->link.trust = s->trust;
    return 0;
}

/* The relay shows one certificate: there is no root to learn, the certificate itself is pinned. */
static int lone_learn(const struct shake *s, const struct link_info *info, struct err *e)
{
    char hex[2 * HASH_LEN + 1];

    if (s->link.leaf != NULL)
        return 0;
    hex_put(hex, span_of(info->peer_fp.b, sizeof info->peer_fp.b));
    return err_set(e, ERR_AUTH,
                   "the relay shows a certificate without any above it; if whoever runs the relay "
                   "told you this SHA-256, say --pin %s",
                   hex);
}

/* Without an account there is no anchor. A first, silent handshake that must fail shows the relay's
 * own root; the second one takes it, and says that nobody vouched for it. */
static int root_learn(struct shake *s, struct err *e)
{
    struct link_info info;
    struct err expected = {0};

    s->silent = true;
    s->link.join = true;
    s->link.root = &s->root;
    (void)!shake_once(s, &expected);
    s->silent = false;
    if (wire_link(s->wire) == NULL)
        return err_set(e, expected.code, "%s", expected.text);
    link_info(wire_link(s->wire), &info);
    if (info.peer_n == 1 && s->link.kind == LINK_ECDHE)
        return lone_learn(s, &info, e);
    if (info.peer_n < 2)
        return err_set(e, expected.code, "%s", expected.text);
    cert_fingerprint(info.peer[info.peer_n - 1], &s->root);
    return 0;
}

/* The relay has shown the certificate that was pinned. */
static bool pin_kept(const struct shake *s, const struct link_info *info)
{
    return s->link.leaf != NULL && hash_same(&info->peer_fp, s->link.leaf);
}

/* What the outcome is worth. */
static const char *worth(const struct shake *s, const struct link_info *info)
{
    if (s->link.kind == LINK_CLASSIC)
        return LINK_CLASSIC_MARK;
    if (s->link.leaf != NULL)
        return pin_kept(s, info) ? "the relay's certificate is the one that was pinned"
                                 : "the relay did not show the certificate that was pinned";
    return s->account
               ? "the root is the one pinned when this account joined"
               : "no account here: tried as a newcomer (ALPN countersign-join/1); the root above "
                 "is the relay's own word, compare it with an invite";
}

static int report(struct shake *s, const char *outcome, struct err *e)
{
    static const char *const what[] = {"relay", "issuer", "root", "certificate", "certificate"};
    struct link_info info;
    struct row row;

    if (wire_link(s->wire) == NULL || s->call->mermaid)
        return 0;
    link_info(wire_link(s->wire), &info);
    for (size_t i = 0; i < info.peer_n; i++)
        if (print_cert(info.peer[i], what[i], s->call->json, e) < 0)
            return -1;
    if (s->account && print_cert(s->chain[0], "own", s->call->json, e) < 0)
        return -1;
    if (!s->call->json) {
        print_line("%s: %s, %s, %s, for %s", outcome, info.version == NULL ? "-" : info.version,
                   info.suite == NULL ? "-" : info.suite, info.group == NULL ? "-" : info.group,
                   info.alpn == NULL ? "-" : info.alpn);
        print_line("%s", worth(s, &info));
        return print_flush(e);
    }
    row_begin(&row, outcome);
    row_text(&row, "host", s->host);
    jput_u64(&row.j, "port", s->port);
    row_text(&row, "link", link_kind_name(info.kind));
    row_text(&row, "version", info.version);
    row_text(&row, "suite", info.suite);
    row_text(&row, "group", info.group);
    row_text(&row, "alpn", info.alpn);
    row_text(&row, "trust", pin_kept(s, &info) ? "leaf" : s->account ? "pinned" : "none");
    row_text(&row, "warning", s->link.kind == LINK_CLASSIC ? LINK_CLASSIC_MARK : NULL);
    if (info.peer_n > 0)
        jput_hex(&row.j, "relay-sha256", span_of(info.peer_fp.b, sizeof info.peer_fp.b));
    if (s->account)
        jput_hex(&row.j, "own-sha256", span_of(s->profile.fp.b, HASH_LEN));
    row_text(&row, "why", s->err.code == ERR_NONE ? NULL : s->err.text);
    return row_end(&row, e);
}

static int target_read(struct shake *s, struct err *e)
{
    const struct call *c = s->call;
    struct profile where;

    if (c->args_n > 1)
        return err_set(e, ERR_USAGE,
                       "usage: countersign handshake [HOST:PORT] [--link NAME] [--json]"
                       " [--svg FILE] [--mermaid]");
    if (profile_where(&where, c->conf.profile, e) < 0)
        return -1;
    s->account = profile_exists(&where) && s->link.kind != LINK_CLASSIC;
    if (c->args_n == 0 && !s->account)
        return err_set(e, ERR_USAGE, "no account %s: say which relay, HOST:PORT",
                       s->link.kind == LINK_CLASSIC ? "goes over classic" : "here");
    if (!s->account && c->conf.pin != NULL) {
        if (profile_route(&s->profile, &s->link.kind, c->conf.pin, e) < 0)
            return -1;
        s->link.leaf = profile_pin(&s->profile);
    }
    s->port = PORT_DEFAULT;
    if (c->args_n == 1)
        return net_address(str_of(c->args[0]), s->host, sizeof s->host, &s->port, e);
    return 0;
}

static int shake_all(struct shake *s, struct err *e)
{
    if (s->account) {
        if (account_open(s, e) < 0)
            return -1;
        if (s->call->args_n == 0) {
            snprintf(s->host, sizeof s->host, "%s", s->profile.host);
            s->port = s->profile.port;
        }
    } else if (s->link.kind != LINK_CLASSIC && root_learn(s, e) < 0) {
        return -1;
    }
    int ret = shake_once(s, e);
    struct err later = {0};
    if ((report(s, ret == 0 ? "established" : "failed", &later) < 0 ||
         shake_draw(s->call, &s->story, s->host, &later) < 0) &&
        ret == 0)
        ret = err_set(e, later.code, "%s", later.text);
    return ret;
}

int command_handshake(struct call *c, struct err *e)
{
    if (c->local || c->link_all)
        return shake_local(c, e);
    struct shake *s = calloc(1, sizeof *s);
    int ret = -1;

    if (s == NULL)
        return err_set(e, ERR_OS, "no memory");
    const struct wire_ops ops = {on_up, on_step, on_linked, on_message, on_rest, on_down, s};
    s->call = c;
    s->rng = rng_system();
    s->link = (struct link_conf){
        .kind = c->conf.link != NULL ? *c->conf.link : LINK_TLS,
        .host = s->host,
        .rng = s->rng,
        .now = clock_wall_ms,
        .mono = clock_mono_us,
    };
    if (target_read(s, e) < 0 ||
        (c->key_file != NULL && key_file_take(c->key_file, &s->rng, &s->file_key, e) < 0))
        goto out;
    if (c->key_file != NULL)
        s->link.file_key = &s->file_key;
    if (uv_loop_init(&s->loop) != 0) {
        err_set(e, ERR_OS, "no event loop");
        goto out;
    }
    s->wire = wire_new(&s->loop, &ops, e);
    if (s->wire != NULL) {
        ret = shake_all(s, e);
        wire_free(s->wire);
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
out:
    profile_keys_wipe(&s->keys);
    wipe(&s->file_key, sizeof s->file_key);
    trust_free(s->trust);
    free(s);
    return ret;
}
