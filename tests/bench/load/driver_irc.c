#include <stdio.h>
#include <string.h>

#include "tests/bench/load/drivers.h"
#include "tests/bench/load/traffic.h"

static void irc_login(struct conn *c)
{
    conn_say(c, "NICK m%xl%x\r\nUSER bench 0 * :bench\r\n", c->number, c->life);
}

static void irc_join(struct conn *c)
{
    conn_say(c, "JOIN #r%u\r\n", c->room);
}

static void irc_say(struct conn *c, const struct sender *s, uint32_t seq)
{
    char text[4096];

    payload_put(text, c->load, s, seq);
    conn_say(c, "PRIVMSG #r%u :", c->room);
    conn_put(c, text, c->load->conf.bytes);
    conn_put(c, "\r\n", 2);
}

/* ":nick!user@host PRIVMSG #room :text" */
static void irc_message(struct conn *c, struct str rest)
{
    (void)str_cut(&rest, ' ');
    if (rest.n > 0 && rest.p[0] == ':')
        rest = str_from(rest.p + 1, rest.n - 1);
    payload_take(c, span_of(rest.p, rest.n));
}

static bool irc_tolerated(struct str word)
{
    return str_is(word, "422") || str_is(word, "421"); /* no message of the day; unknown command */
}

static void irc_word(struct conn *c, struct str word, struct str rest)
{
    if (str_is(word, "PRIVMSG"))
        irc_message(c, rest);
    else if (str_is(word, "001"))
        conn_registered(c);
    else if (str_is(word, "366"))
        conn_joined(c);
    else if (word.n == 3 && (word.p[0] == '4' || word.p[0] == '5') && !irc_tolerated(word))
        load_fail(c->load, "the server says %.*s %.*s", (int)word.n, word.p, (int)rest.n, rest.p);
}

static void irc_line(struct conn *c, struct str line)
{
    struct str word = str_cut(&line, ' ');

    if (word.n > 0 && word.p[0] == ':')
        word = str_cut(&line, ' ');
    if (str_is(word, "PING"))
        conn_say(c, "PONG %.*s\r\n", (int)line.n, line.p);
    else if (str_is(word, "ERROR"))
        load_fail(c->load, "the server says %.*s", (int)line.n, line.p);
    else
        irc_word(c, word, line);
}

static size_t irc_take(struct conn *c, struct span in)
{
    size_t used = 0;

    for (const uint8_t *end; (end = memchr(in.p + used, '\n', in.n - used)) != NULL;) {
        size_t n = (size_t)(end - in.p) - used;
        struct str line = str_from(in.p + used, n);

        if (n > 0 && line.p[n - 1] == '\r')
            line.n--;
        irc_line(c, line);
        used += n + 1;
        if (used == in.n)
            break;
    }
    return used;
}

/* ngIRCd does not look at what GnuTLS has opened and not yet handed out: of a record with many
 * lines the last ones would wait for the next record. */
const struct driver driver_irc = {
    .name = "irc",
    .apart = true,
    .login = irc_login,
    .join = irc_join,
    .say = irc_say,
    .take = irc_take,
};
