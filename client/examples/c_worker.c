/* A worker in C, by the shared library alone: one layer that Evenkeel routes, and one that the trainer routes itself.
 *
 *   c_worker HOST:PORT JOB STEPS
 *
 * Prints the step and the hash of the last bias, the same for every worker of the job.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "evenkeel/evenkeel.h"

enum { kTokens = 64, kExperts = 8, kTopK = 2 };

static int failed(const char* call, evenkeel_status status) {
  if (status == EVENKEEL_OK) return 0;
  fprintf(stderr, "c_worker: %s: code %d: %s\n", call, (int)status, evenkeel_last_error());
  return 1;
}

/* Logits of your model, and the choices of your router: here some that lean towards the first experts. */
static void fill(uint64_t step, float* logits, int32_t* ids) {
  for (int i = 0; i < kTokens * kExperts; ++i) {
    logits[i] = (float)((i * 37 + (int)step * 11) % 101) / 50.0f - (float)(i % kExperts) / 4.0f;
  }
  for (int t = 0; t < kTokens; ++t) {
    ids[t * kTopK] = t % 3;
    ids[t * kTopK + 1] = 3 + t % 5;
  }
}

static int run_step(evenkeel_worker* worker, uint64_t step) {
  float logits[kTokens * kExperts];
  float weights[kTokens * kTopK];
  int32_t routed[kTokens * kTopK];
  int32_t ids[kTokens * kTopK];
  fill(step, logits, ids);

  evenkeel_tokens tokens;
  evenkeel_tokens_init(&tokens, sizeof(tokens));
  tokens.rows = kTokens;
  tokens.logits = logits;
  tokens.micro_batch = 0; /* the only one of the step: where it is recomputed, it is not counted again */
  evenkeel_assignments assignments;
  evenkeel_assignments_init(&assignments, sizeof(assignments));
  assignments.ids = routed;
  assignments.weights = weights;
  evenkeel_ids chosen;
  evenkeel_ids_init(&chosen, sizeof(chosen));
  chosen.rows = kTokens;
  chosen.ids = ids;

  return failed("begin_step", evenkeel_begin_step(worker, step)) ||
         failed("route", evenkeel_route(worker, 0, &tokens, &assignments)) ||
         failed("count", evenkeel_count(worker, 1, &chosen)) ||
         failed("commit", evenkeel_commit(worker, step, 1));
}

static int train(evenkeel_worker* worker, uint64_t steps) {
  for (uint64_t step = 1; step <= steps; ++step) {
    if (run_step(worker, step)) return 1;
  }
  if (failed("leave", evenkeel_leave(worker))) return 1;
  evenkeel_report report;
  evenkeel_report_init(&report, sizeof(report));
  if (failed("read_report", evenkeel_read_report(worker, &report))) return 1;
  printf("step %" PRIu64 " bias %016" PRIx64 "\n", report.step, report.bias_hash);
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: c_worker HOST:PORT JOB STEPS\n");
    return 2;
  }
  evenkeel_layer_options layers[2];
  for (int i = 0; i < 2; ++i) {
    evenkeel_layer_options_init(&layers[i], sizeof(layers[i]));
    layers[i].num_experts = kExperts;
    layers[i].top_k = kTopK;
  }
  layers[0].name = "model.layers.0.gate";
  layers[0].route = "{\"score\": \"SIGMOID\"}";
  layers[1].name = "model.layers.1.gate";

  evenkeel_worker_options options;
  evenkeel_worker_options_init(&options, sizeof(options));
  options.coordinator = argv[1];
  options.job = argv[2];
  options.layers = layers;
  options.num_layers = 2;

  evenkeel_worker* worker = NULL;
  if (failed("join", evenkeel_worker_join(&options, &worker))) return 1;
  const int code = train(worker, strtoull(argv[3], NULL, 10));
  evenkeel_worker_destroy(worker);
  return code;
}
