/* The answers of the fake upstream, as bytes: Cloud Code's envelope and the Responses API's events. */
#ifndef BENCH_ANSWERS_H
#define BENCH_ANSWERS_H

#include "common.h"

enum api { CLOUD_CODE, RESPONSES };

/* Text that grows. */
struct text {
  char *bytes;
  size_t length, room;
};

static void add_bytes(struct text *t, const char *bytes, size_t length) {
  if (t->length + length > t->room) {
    t->room = (t->length + length) * 2;
    t->bytes = must(realloc(t->bytes, t->room));
  }
  memcpy(t->bytes + t->length, bytes, length);
  t->length += length;
}

static void add(struct text *t, const char *string) { add_bytes(t, string, strlen(string)); }

static void add_number(struct text *t, uint64_t number) {
  char digits[24];
  snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
  add(t, digits);
}

static void add_padding(struct text *t, size_t length) {
  static const char words[] = "The quick brown fox jumps over the lazy dog. ";
  for (size_t done = 0; done < length;) {
    size_t piece = length - done < sizeof words - 1 ? length - done : sizeof words - 1;
    add_bytes(t, words, piece);
    done += piece;
  }
}

/* One HTTP chunk (RFC 9112 7.1). */
static void add_chunk(struct text *t, const struct text *data) {
  char size[24];
  snprintf(size, sizeof size, "%zx\r\n", data->length);
  add(t, size);
  add_bytes(t, data->bytes, data->length);
  add(t, "\r\n");
}

static const char ZERO_STAMP[] = STAMP "0000000000000000000 ";
static const char USAGE[] = "\"usageMetadata\":{\"promptTokenCount\":12,\"candidatesTokenCount\":64,\"totalTokenCount\":76}";

/* A candidate with `size` bytes of text in Cloud Code's envelope. */
static void add_envelope(struct text *t, size_t size, bool stamped, bool last) {
  add(t, "{\"response\":{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"");
  if (stamped) add(t, ZERO_STAMP);
  add_padding(t, size);
  add(t, "\"}]}");
  if (last) add(t, ",\"finishReason\":\"STOP\"");
  add(t, "}],");
  add(t, USAGE);
  add(t, ",\"modelVersion\":\"gemini-2.5-pro\",\"responseId\":\"r-0123456789\"},\"traceId\":\"t-0123456789\"}");
}

static void add_delta(struct text *t, uint64_t number, size_t size) {
  add(t, "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":");
  add_number(t, number);
  add(t, ",\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"");
  add(t, ZERO_STAMP);
  add_padding(t, size);
  add(t, "\"}\n\n");
}

static const char ITEM[] =
    "{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":"
    "\"output_text\",\"text\":\"done\",\"annotations\":[]}]}";

static void add_opening(struct text *t) {
  add(t, "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":"
         "\"resp_1\",\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"gpt-5.2-codex\",\"output\":[]}}\n\n");
  add(t, "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,"
         "\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"in_progress\",\"role\":"
         "\"assistant\",\"content\":[]}}\n\n");
}

static void add_closing(struct text *t, uint64_t number) {
  add(t, "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":");
  add_number(t, number);
  add(t, ",\"output_index\":0,\"item\":");
  add(t, ITEM);
  add(t, "}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":");
  add_number(t, number + 1);
  add(t, ",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"model\":\"gpt-5.2-codex\","
         "\"output\":[");
  add(t, ITEM);
  add(t, "],\"usage\":{\"input_tokens\":12,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":64,"
         "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":76}}}\n\n");
}

/* Bytes of text in one streamed event; the event then has some 300. */
#define EVENT_TEXT(api) ((api) == CLOUD_CODE ? 60 : 100)

/* The event with this number (0 is the first) of a stream of `count`, framed as it is sent. */
static void add_event(struct text *t, enum api api, uint64_t number, uint64_t count) {
  struct text event = {0};
  bool last = number + 1 == count;
  if (api == CLOUD_CODE) {
    add(&event, "data: ");
    add_envelope(&event, EVENT_TEXT(api), true, last);
    add(&event, "\r\n\r\n");
  } else {
    if (number == 0) add_opening(&event);
    add_delta(&event, number + 2, EVENT_TEXT(api));
    if (last) add_closing(&event, number + 3);
  }
  add_chunk(t, &event);
  free(event.bytes);
}

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
static const char STREAM_END[] = "0\r\n\r\n";

/* A whole answer with `size` bytes of text. */
static struct text unary_answer(enum api api, size_t size) {
  struct text body = {0}, answer = {0};
  if (api == CLOUD_CODE) add_envelope(&body, size, false, true);
  else {
    add_opening(&body);
    add_delta(&body, 2, size);
    add_closing(&body, 3);
  }
  add(&answer, "HTTP/1.1 200 OK\r\ncontent-type: ");
  add(&answer, api == CLOUD_CODE ? "application/json" : "text/event-stream");
  add(&answer, "\r\ncontent-length: ");
  add_number(&answer, body.length);
  add(&answer, "\r\n\r\n");
  add_bytes(&answer, body.bytes, body.length);
  free(body.bytes);
  return answer;
}

/* A stream that is ready at once. */
static struct text burst_answer(enum api api, uint64_t count) {
  struct text answer = {0};
  add(&answer, STREAM_HEAD);
  for (uint64_t i = 0; i < count; i++) add_event(&answer, api, i, count);
  add(&answer, STREAM_END);
  return answer;
}

#endif
