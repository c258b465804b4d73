#include "appliance/privacy/task_plan.h"

#include "appliance/config/metric_list.h"
#include "appliance/config/noise.h"
#include "wire/metric.h"

struct mr_plan_question mr_task_plan_question(const struct mr_config_task *task, uint32_t dimension)
{
    const struct mr_config_round *round = &task->round;
    const struct mr_config_privacy *privacy = &task->privacy;
    struct mr_announcement metrics = {
        .kind = round->evaluate_before ? MR_ROUND_EVALUATED_TRAINING : MR_ROUND_TRAINING,
        .noise_kind = (uint8_t)mr_config_noise(privacy),
        .cohort_max = round->cohort_max,
        .weight_max = round->weight_max,
    };
    struct mr_error error;
    const int count = mr_config_metrics(metrics.metrics, round->metrics, &error);
    metrics.metric_count = count > 0 ? (uint8_t)count : 0; /* what is wrong was said before */
    return (struct mr_plan_question){
        .noise = mr_config_noise(privacy),
        .epsilon = privacy->epsilon,
        .delta = privacy->delta,
        .rounds = privacy->rounds,
        .participation = privacy->participation,
        .devices = round->quorum,
        .cohort_min = mr_config_set_min(round),
        .cohort_max = round->cohort_max,
        .colluders = round->colluders,
        .hubs = task->hubs_count,
        .dimension = dimension,
        .ring_bits = round->ring_bits,
        .rotation_log2 = round->rotation_log2 == MR_ROTATION_AUTO
                             ? mr_quantiser_rotation_log2(dimension)
                             : round->rotation_log2,
        .chunk_bytes = round->chunk_bytes,
        .headroom = round->headroom,
        .weight_max = round->weight_max,
        .clip_norm = round->clip_norm,
        .metric_lanes = mr_metric_lanes(&metrics),
        .metric_unit = mr_metric_unit(&metrics),
    };
}
