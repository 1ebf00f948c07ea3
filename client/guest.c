#include "client/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "certs/file.h"
#include "client/wire.h"

struct guest {
    uv_loop_t loop;
    bool loop_open;
    struct guest_conf conf;
    struct rng rng;
    struct aes_key key;
    struct link_conf link;
    struct wire *wire;
    struct guest_watch watch;
    struct client_state state;
    char where[80];
};

/* --- the file --- */

static int key_file_make(const char *path, const struct rng *rng, struct err *e)
{
    struct aes_key k;

    if (rng_fill(rng, k.b, sizeof k.b) < 0)
        return err_set(e, ERR_LOCAL, "no random numbers");
    int ret = file_create(path, FILE_SECRET, span_of(k.b, sizeof k.b), e);
    wipe(&k, sizeof k);
    return ret;
}

int key_file_take(const char *path, const struct rng *rng, struct aes_key *out, struct err *e)
{
    if (!file_exists(path) && key_file_make(path, rng, e) < 0)
        return -1;
    return file_read_key(path, out->b, sizeof out->b, e);
}

/* --- what the wire tells --- */

static void state_set(struct guest *g, enum client_net net)
{
    g->state.net = net;
    if (g->watch.client.state != NULL)
        g->watch.client.state(g->watch.client.ctx, &g->state);
}

static void on_up(void *ctx, const char *where)
{
    struct guest *g = ctx;

    snprintf(g->where, sizeof g->where, "%s", where);
    state_set(g, CLIENT_HANDSHAKE);
}

static void on_step(void *ctx, const struct link_step *step)
{
    struct guest *g = ctx;

    if (g->watch.client.step != NULL)
        g->watch.client.step(g->watch.client.ctx, step);
}

static void on_linked(void *ctx)
{
    state_set(ctx, CLIENT_LINKED);
}

static void on_message(void *ctx, struct span bytes)
{
    struct guest *g = ctx;

    if (g->watch.text != NULL)
        g->watch.text(g->watch.client.ctx, str_from(bytes.p, bytes.n));
}

static void on_rest(void *ctx)
{
    (void)ctx;
}

static void on_down(void *ctx, const struct err *why, bool final)
{
    struct guest *g = ctx;

    (void) final;
    g->state.why = *why;
    state_set(g, CLIENT_IDLE);
}

/* --- for the program --- */

struct guest *guest_open(const struct guest_conf *conf, struct err *e)
{
    struct guest *g = calloc(1, sizeof *g);
    const struct wire_ops ops = {on_up, on_step, on_linked, on_message, on_rest, on_down, g};

    if (g == NULL) {
        err_set(e, ERR_OS, "no memory");
        return NULL;
    }
    g->conf = *conf;
    g->rng = rng_system();
    g->state.where = g->where;
    g->link = (struct link_conf){.kind = LINK_CLASSIC,
                                 .host = g->conf.host,
                                 .file_key = conf->key_file != NULL ? &g->key : NULL,
                                 .rng = g->rng,
                                 .now = clock_wall_ms,
                                 .mono = clock_mono_us};
    if (conf->key_file != NULL && key_file_take(conf->key_file, &g->rng, &g->key, e) < 0)
        goto fail;
    if (uv_loop_init(&g->loop) != 0) {
        err_set(e, ERR_OS, "no event loop");
        goto fail;
    }
    g->loop_open = true;
    g->wire = wire_new(&g->loop, &ops, e);
    if (g->wire != NULL)
        return g;
fail:
    guest_close(g);
    return NULL;
}

static void close_all(uv_handle_t *h, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

void guest_close(struct guest *g)
{
    if (g == NULL)
        return;
    memset(&g->watch, 0, sizeof g->watch);
    wire_free(g->wire);
    if (g->loop_open) {
        uv_run(&g->loop, UV_RUN_NOWAIT);
        uv_walk(&g->loop, close_all, NULL);
        uv_run(&g->loop, UV_RUN_DEFAULT);
        uv_loop_close(&g->loop);
    }
    wipe(g, sizeof *g);
    free(g);
}

void guest_watch(struct guest *g, const struct guest_watch *watch)
{
    g->watch = *watch;
}

void guest_connect(struct guest *g)
{
    if (g->state.net != CLIENT_IDLE)
        return;
    g->state.attempt++;
    g->where[0] = '\0';
    err_clear(&g->state.why);
    state_set(g, CLIENT_RESOLVING);
    wire_dial(g->wire, &g->link, g->conf.host, g->conf.port);
}

void guest_pause(struct guest *g)
{
    wire_hang_up(g->wire);
    err_clear(&g->state.why);
    state_set(g, CLIENT_IDLE);
}

void guest_stop(struct guest *g)
{
    wire_hang_up(g->wire);
    uv_stop(&g->loop);
}

int guest_run(struct guest *g, struct err *e)
{
    return uv_run(&g->loop, UV_RUN_DEFAULT) < 0 ? err_set(e, ERR_OS, "the event loop failed") : 0;
}

int guest_say(struct guest *g, struct str text, struct err *e)
{
    if (g->state.net != CLIENT_LINKED)
        return err_set(e, ERR_UNAVAILABLE, "not connected: /connect first");
    if (text.n > CLASSIC_SAY_MAX)
        return err_set(e, ERR_LIMIT, "%zu bytes: a text of classic has at most %d", text.n,
                       CLASSIC_SAY_MAX);
    wire_send(g->wire, span_of(text.p, text.n));
    return 0;
}

struct uv_loop_s *guest_loop(struct guest *g)
{
    return &g->loop;
}

bool guest_link(const struct guest *g, struct link_info *out)
{
    const struct link *l = wire_link(g->wire);

    if (l == NULL)
        return false;
    link_info(l, out);
    return true;
}
