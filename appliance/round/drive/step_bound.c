#include "appliance/round/drive/step_bound.h"

#include <float.h>
#include <math.h>

static float normal(double value)
{
    return value > (double)FLT_MAX ? FLT_MAX : value > (double)FLT_MIN ? (float)value : FLT_MIN;
}

float mr_step_bound_honest(const struct mr_announcement *announcement, uint32_t lanes,
                           float server_learning_rate)
{
    const double norm = (double)announcement->clip_norm + sqrt(lanes) / (double)announcement->scale;
    return normal((double)server_learning_rate * announcement->weight_max * norm);
}
