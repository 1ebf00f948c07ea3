#include "common/util/email.h"

#include <string.h>
#include <strings.h>

#include "common/util/limits.h"

enum { LOCAL_MAX = 64, LABEL_MAX = 63 };

static bool alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 5322 3.2.3 */
static bool atom_is(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\0' || (!alnum(s.p[i]) && strchr("!#$%&'*+-/=?^_`{|}~", s.p[i]) == NULL))
            return false;
    return s.n > 0;
}

/* RFC 1123 2.1 */
static bool label_is(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!alnum(s.p[i]) && (s.p[i] != '-' || i == 0 || i + 1 == s.n))
            return false;
    return s.n > 0 && s.n <= LABEL_MAX;
}

/* Parts with one dot between them. */
static bool dotted(struct str s, bool (*part)(struct str s))
{
    do
        if (!part(str_cut(&s, '.')))
            return false;
    while (s.p != NULL);
    return true;
}

bool email_is(struct str s)
{
    struct str domain = s, local = str_cut(&domain, '@');

    return s.n <= EMAIL_MAX && domain.p != NULL && local.n <= LOCAL_MAX && dotted(local, atom_is) &&
           dotted(domain, label_is);
}

bool email_same(struct str a, struct str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}
