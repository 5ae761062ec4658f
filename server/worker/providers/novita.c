/* Novita: the balance of an account.  PROVIDERS.md 6.14; https://novita.ai/docs (billing balance detail). */
#include "server/worker/provider.h"

enum { UNITS_PER_USD = 10000 };

static struct number novita_read_usd(const json_t *body, const char *member)
{
    struct number units = number_read_decimal(json_object_get(body, member));

    return units.known ? number_make(units.value / UNITS_PER_USD) : NUMBER_ABSENT;
}

static void novita_read(const struct bodies *bodies, struct reading *reading)
{
    static const struct {
        const char *member, *name;
    } others[] = {{"creditLimit", "Credit limit"},
                  {"pendingCharges", "Pending charges"},
                  {"outstandingInvoices", "Outstanding invoices"}};
    const json_t *body = bodies->bodies[0];
    struct number available = novita_read_usd(body, "availableBalance");

    reading_add_total(reading, "Available", available, "USD", NULL);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct number other = novita_read_usd(body, others[i].member);

        if (other.value > 0)
            reading_add_money(reading, others[i].name, NULL, other, "USD");
    }
    if (available.known && available.value <= 0)
        reading_set_exhausted(reading, NULL);
}

const struct provider provider_novita = {
    .id = "novita",
    .source = "balance_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"NOVITA_API_KEY"},
    .base_url = "https://api.novita.ai",
    .path = "/openapi/v1/billing/balance/detail",
    .authorization = "Authorization: Bearer ",
    .read = novita_read,
};
