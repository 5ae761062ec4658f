/* OpenAI's platform: what an organisation has spent this month, which an admin key may ask for and no other.
 * PROVIDERS.md 6.23; https://platform.openai.com (costs).  A ChatGPT plan is openai_codex.c. */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <string.h>

enum { CURRENCY_COUNT_MAX = 8, PAGE_TOKEN_SIZE_MAX = 512 };

/* What was spent, by currency, in the order in which they came. */
struct openai_costs {
    struct label currencies[CURRENCY_COUNT_MAX];
    double amounts[CURRENCY_COUNT_MAX];
    size_t count;
};

static void openai_add_cost(struct openai_costs *costs, const json_t *amount)
{
    struct label currency = wording_currency(json_object_get(amount, "currency"));
    struct number value = number_read_amount(json_object_get(amount, "value"));
    size_t at = 0;

    if (!value.known || currency.text[0] == '\0')
        return;
    while (at < costs->count && strcmp(costs->currencies[at].text, currency.text) != 0)
        at++;
    if (at == CURRENCY_COUNT_MAX)
        return;
    if (at == costs->count)
        costs->currencies[costs->count++] = currency;
    costs->amounts[at] += value.value;
}

static void openai_add_page(struct openai_costs *costs, const json_t *page)
{
    const json_t *bucket, *result;
    size_t bucket_at, result_at;

    json_array_foreach(json_object_get(page, "data"), bucket_at, bucket)
    {
        json_array_foreach(json_object_get(bucket, "results"), result_at, result)
            openai_add_cost(costs, json_object_get(result, "amount"));
    }
}

static void openai_read(const struct bodies *bodies, struct reading *reading)
{
    struct openai_costs costs = {.count = 0};
    bool is_all = !document_is_true(bodies->bodies[bodies->count - 1], "has_more");

    if (!json_is_array(json_object_get(bodies->bodies[0], "data")))
        return;
    for (size_t i = 0; i < bodies->count; i++)
        openai_add_page(&costs, bodies->bodies[i]);
    if (costs.count == 0) /* nothing yet this month */
        costs = (struct openai_costs){.currencies = {{"USD"}}, .count = 1};
    for (size_t i = 0; i < costs.count; i++)
        reading_add_detail(reading, "Spend this month: %s%s", is_all ? "" : "at least ",
                           wording_money(costs.amounts[i], costs.currencies[i].text).text);
}

/* A month is at most 31 days. */
static void openai_add_query(int64_t now_s, struct text *url)
{
    text_format(url, "/organization/costs?start_time=%lld&bucket_width=1d&limit=31",
                (long long)stamp_this_month(now_s));
}

static void openai_address(const struct target *target, struct text *url)
{
    text_add_string(url, target->base);
    openai_add_query(target->now_s, url);
}

/* The next page, if its token can stand in a URL. */
static bool openai_further(const struct bodies *bodies, struct text *path)
{
    const json_t *page = bodies->bodies[bodies->count - 1];
    const char *token = document_string(page, "next_page");
    size_t size = token == NULL ? 0 : strlen(token);

    if (!document_is_true(page, "has_more") || size == 0 || size > PAGE_TOKEN_SIZE_MAX ||
        strspn(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=-") != size)
        return false;
    openai_add_query(bodies->now_s, path);
    text_format(path, "&page=%s", token);
    return true;
}

/* Neither a project's or a service's key, nor the sign-in of a ChatGPT plan. */
static bool openai_accepts(const char *secret)
{
    static const char *const others[] = {"sk-proj-", "sk-svcacct-", "eyJ"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strncmp(secret, others[i], strlen(others[i])) == 0)
            return false;
    }
    return true;
}

const struct provider provider_openai = {
    .id = "openai",
    .source = "costs_api",
    .title = "Account spend",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"OPENAI_ADMIN_KEY"},
    .useless_variable = "OPENAI_API_KEY",
    .accepts = openai_accepts,
    .base_url = "https://api.openai.com/v1",
    .address = openai_address,
    .authorization = "Authorization: Bearer ",
    .further = openai_further,
    .further_is_needed = true,
    .read = openai_read,
};
