/* Nous Research: the credits of a subscription and those bought beside it.
 * PROVIDERS.md 6.21; the owner of these sign-ins is open source (NousResearch/hermes-agent). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <stdio.h>

static void nous_read_subscription(const json_t *subscription, struct reading *reading)
{
    struct number cap = number_read_amount(json_object_get(subscription, "monthly_credits"));
    struct number left = number_read_amount(json_object_get(subscription, "credits_remaining"));
    char detail[TEXT_SIZE];

    if (!cap.known)
        cap = number_read_amount(json_object_get(subscription, "monthly_charge"));
    reading_set_plan(reading, wording_plan(json_object_get(subscription, "plan")).text);
    if (!cap.known || !left.known || left.value > cap.value)
        return; /* more than all of it: the cap is not what it seems */
    snprintf(detail, sizeof detail, "%s of %s left", wording_money(left.value, "USD").text,
             wording_money(cap.value, "USD").text);
    reading_add_window(reading,
                       &(struct window){.label = "Subscription",
                                        .used_percent = number_percent_of(number_minus(cap, left), cap),
                                        .reset_at = stamp_read(json_object_get(subscription, "current_period_end")),
                                        .detail = detail});
}

static void nous_read_credits(const json_t *subscription, const json_t *access, struct reading *reading)
{
    struct number included = number_read_amount(json_object_get(access, "subscription_credits_remaining"));
    struct number rollover = number_read_amount(json_object_get(subscription, "rollover_credits"));

    if (!included.known)
        included = number_read_amount(json_object_get(subscription, "credits_remaining"));
    reading_add_money(reading, "Subscription credits", NULL, included, "USD");
    reading_add_money(reading, "Top-up credits", NULL,
                      number_read_amount(json_object_get(access, "purchased_credits_remaining")), "USD");
    reading_add_money(reading, "Total usable", "Total usable",
                      number_read_amount(json_object_get(access, "total_usable_credits")), "USD");
    if (rollover.value > 0)
        reading_add_money(reading, "Rollover", NULL, rollover, "USD");
}

static void nous_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0];
    const json_t *subscription = json_object_get(body, "subscription");
    const json_t *access = json_object_get(body, "paid_service_access"), *error = json_object_get(body, "error");
    struct stamp renewal = stamp_read(json_object_get(subscription, "current_period_end"));

    if (error != NULL && !json_is_null(error)) {
        reading_set_error(reading, BODY_ERROR, NULL);
        return;
    }
    nous_read_subscription(subscription, reading);
    nous_read_credits(subscription, access, reading);
    if (renewal.known)
        reading_add_detail(reading, "Renews: %.10s", stamp_write(renewal.s).text);
    if (document_is_false(access, "allowed"))
        reading_set_exhausted(reading, "Status: access depleted");
}

const struct provider provider_nous = {
    .id = "nous",
    .source = "portal-account",
    .title = "Nous credits",
    .min_interval_s = 60,
    .timeout_ms = 8000,
    .kind = CREDENTIAL_SIGN_IN,
    .pool_token = "access_token", /* the portal does not take the key for inference */
    .sign_ins = {{.file = "auth.json", .path = "providers.nous", .token = "access_token"}},
    .base_url = "https://portal.nousresearch.com",
    .base_url_member = "portal_base_url",
    .own_domains = {"nousresearch.com"},
    .own_domains_only = true,
    .path = "/api/oauth/account",
    .authorization = "Authorization: Bearer ",
    .read = nous_read,
};
