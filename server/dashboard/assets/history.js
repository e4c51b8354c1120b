// What /api/v1/jobs/NAME/history says, as lines.

// {steps, max, mean, layer, biasSteps, bias}: `max` and `mean` over the rows of the largest violation, `layer` that of
// the row asked for (empty without it), `bias[expert]` one number for each of biasSteps.
export function historyLines(answer, name, stream) {
  const steps = answer.steps.map(Number);
  const rows = answer.rows.length;
  const violation = answer.max_violation.map(Number);
  const asked = answer.rows.findIndex((row) => row.layer === name && row.stream === stream);
  const at = (i) => violation.slice(i * rows, (i + 1) * rows);
  const biasSteps = answer.bias_steps.map(Number);
  const experts = biasSteps.length > 0 ? answer.bias.length / biasSteps.length : 0;
  const biasOf = (expert) => biasSteps.map((_, i) => Number(answer.bias[i * experts + expert]));
  return {
    steps,
    max: steps.map((_, i) => Math.max(...at(i))),
    mean: steps.map((_, i) => at(i).reduce((sum, value) => sum + value, 0) / rows),
    layer: asked < 0 ? [] : steps.map((_, i) => violation[i * rows + asked]),
    biasSteps,
    bias: Array.from({length: experts}, (_, expert) => biasOf(expert)),
  };
}
