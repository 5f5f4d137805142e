/**
 * WebLLM's prebuilt models, as facts: a line a model, in its order.  `NAME (options): QUANTISATION MEGABYTES, ...`, where "-1k" is an id of
 * its own with a context of 1024, "+" a model for small devices, "*" one whose WebLLM library needs shader-f16.  catalogue.ts reads it.
 */

export const TABLE = `
Llama-3.2-1B-Instruct: q4f32_1 1128.82+, q4f16_1 879.04+, q0f32 5106.26+, q0f16 2573.13+
Llama-3.2-3B-Instruct: q4f32_1 2951.51+, q4f16_1 2263.69+
Llama-3.1-8B-Instruct (lib=Llama-3_1-8B-Instruct): q4f32_1-1k 5295.7+, q4f16_1-1k 4598.34+, q4f32_1 6101.01, q4f16_1 5001
DeepSeek-R1-Distill-Qwen-7B (lib=Qwen2-7B-Instruct): q4f16_1 5106.67, q4f32_1 5900.09
DeepSeek-R1-Distill-Llama-8B (lib=Llama-3_1-8B-Instruct): q4f32_1 6101.01, q4f16_1 5001
Hermes-2-Theta-Llama-3-8B (lib=Llama-3-8B-Instruct): q4f16_1 4976.13, q4f32_1 6051.27
Hermes-2-Pro-Llama-3-8B (lib=Llama-3-8B-Instruct): q4f16_1 4976.13, q4f32_1 6051.27
Hermes-3-Llama-3.2-3B (lib=Llama-3.2-3B-Instruct): q4f32_1 2951.51+, q4f16_1 2263.69+
Hermes-3-Llama-3.1-8B (lib=Llama-3_1-8B-Instruct): q4f32_1 5779.27, q4f16_1 4876.13
Hermes-2-Pro-Mistral-7B (lib=Mistral-7B-Instruct-v0.3 sliding=-1): q4f16_1 4033.28*
Phi-3.5-mini-instruct: q4f16_1 3672.07, q4f32_1 5483.12, q4f16_1-1k 2520.07+, q4f32_1-1k 3179.12+
Phi-3.5-vision-instruct (cs4k vision): q4f16_1 4521.54, q4f32_1 7050.65
Phi-4-mini-instruct: q4f16_1 3437.58, q4f32_1 4220.59
Mistral-7B-Instruct-v0.3 (sliding=-1): q4f16_1 4573.39*, q4f32_1 5619.27
Mistral-7B-Instruct-v0.2 (lib=Mistral-7B-Instruct-v0.3 sliding=-1): q4f16_1 4573.39*
OpenHermes-2.5-Mistral-7B (lib=Mistral-7B-Instruct-v0.3 sliding=-1): q4f16_1 4573.39*
NeuralHermes-2.5-Mistral-7B (lib=Mistral-7B-Instruct-v0.3 sliding=-1): q4f16_1 4573.39*
WizardMath-7B-V1.1 (lib=Mistral-7B-Instruct-v0.3 sliding=-1): q4f16_1 4573.39*
SmolLM2-1.7B-Instruct: q4f16_1 1774.19+*, q4f32_1 2692.38+
SmolLM2-360M-Instruct: q0f16 871.99+*, q0f32 1743.99+, q4f16_1 376.06+*, q4f32_1 579.61+
SmolLM2-135M-Instruct: q0f16 359.69+*, q0f32 719.38+
gemma-4-E2B-it (cs512 buffer=201326592 manifest): q4f16_1 3387.37*, q4f32_1 3862.72
gemma-2-2b-it: q4f16_1 1895.3*, q4f32_1 2508.75, q4f16_1-1k 1583.3+*, q4f32_1-1k 1884.75+
gemma-2-9b-it: q4f16_1 6422.01*, q4f32_1 8383.33
gemma-2-2b-jpn-it: q4f16_1 1895.3+*, q4f32_1 2508.75+
gemma3-1b-it: q4f16_1 711.07+
OLMo-2-1124-7B-Instruct: q4f16_1 6479.01, q4f32_1 9086.02
OLMo-2-0425-1B-Instruct: q4f16_1 1776.75+, q4f32_1 2453.51+
Qwen3-0.6B: q4f16_1 1403.34+, q4f32_1 1924.98+, q0f16 2220.38+, q0f32 3843.25+
Qwen3-1.7B: q4f16_1 2036.66+, q4f32_1 2635.44+
Qwen3-4B: q4f16_1 3431.59+, q4f32_1 4327.71+
Qwen3-8B: q4f16_1 5695.78, q4f32_1 6852.55
Qwen3.5-0.8B (history=1): q4f16_1 1629.49+, q4f32_1 1894.19+, q0f16 2660.27+
Qwen3.5-2B (history=1): q4f16_1 2245.44, q4f32_1 2591.55
Qwen3.5-4B (history=1): q4f16_1 3867.82, q4f32_1 4680.36
Qwen3.5-9B (history=1): q4f16_1 6433.01, q4f32_1 7544.74
Qwen2.5-0.5B-Instruct (lib=Qwen2-0.5B-Instruct): q4f16_1 944.62+, q4f32_1 1060.2+, q0f16 1624.12+, q0f32 2654.75+
Qwen2.5-1.5B-Instruct (lib=Qwen2-1.5B-Instruct): q4f16_1 1629.75+, q4f32_1 1888.97+
Qwen2.5-3B-Instruct: q4f16_1 2504.76+, q4f32_1 2893.64+
Qwen2.5-7B-Instruct (lib=Qwen2-7B-Instruct): q4f16_1 5106.67, q4f32_1 5900.09
Qwen2.5-Coder-0.5B-Instruct (lib=Qwen2-0.5B-Instruct): q4f16_1 944.62+, q4f32_1 1060.2+, q0f16 1624.12+, q0f32 2654.75+
Qwen2.5-Coder-1.5B-Instruct (lib=Qwen2-1.5B-Instruct): q4f16_1 1629.75, q4f32_1 1888.97
Qwen2.5-Coder-3B-Instruct (lib=Qwen2.5-3B-Instruct): q4f16_1 2504.76+, q4f32_1 2893.64+
Qwen2.5-Coder-7B-Instruct (lib=Qwen2-7B-Instruct): q4f16_1 5106.67, q4f32_1 5900.09
Qwen2.5-Math-1.5B-Instruct (lib=Qwen2-1.5B-Instruct): q4f16_1 1629.75+, q4f32_1 1888.97+
stablelm-2-zephyr-1_6b: q4f16_1 2087.66, q4f32_1 2999.33, q4f16_1-1k 1511.66+, q4f32_1-1k 1847.33+
RedPajama-INCITE-Chat-3B-v1 (context=2048): q4f16_1 2972.09*, q4f32_1 3928.09
RedPajama-INCITE-Chat-3B-v1: q4f16_1-1k 2041.09+*, q4f32_1-1k 2558.09+
TinyLlama-1.1B-Chat-v1.0 (context=2048): q4f16_1 697.24+*, q4f32_1 839.98+
TinyLlama-1.1B-Chat-v1.0: q4f16_1-1k 675.24+*, q4f32_1-1k 795.98+
Ministral-3-3B-Base-2512: q4f16_1 2863.69+, q4f32_1 3532.37+
Ministral-3-3B-Reasoning-2512: q4f16_1 2863.69+, q4f32_1 3532.37+
Ministral-3-3B-Instruct-2512-BF16: q4f16_1 2863.69+, q4f32_1 3532.37+
Llama-3.1-70B-Instruct (lib=Llama-3_1-70B-Instruct): q3f16_1 31153.13
Qwen2-0.5B-Instruct: q4f16_1 944.62+, q0f16 1624.12+, q0f32 2654.75+
Qwen2-1.5B-Instruct: q4f16_1 1629.75+, q4f32_1 1888.97+
Qwen2-7B-Instruct: q4f16_1 5106.67, q4f32_1 5900.09
Qwen2-Math-1.5B-Instruct (lib=Qwen2-1.5B-Instruct): q4f16_1 1629.75+, q4f32_1 1888.97+
Qwen2-Math-7B-Instruct (lib=Qwen2-7B-Instruct): q4f16_1 5106.67, q4f32_1 5900.09
Llama-3-8B-Instruct: q4f32_1-1k 5295.7+, q4f16_1-1k 4598.34+, q4f32_1 6101.01, q4f16_1 5001
Llama-3-70B-Instruct: q3f16_1 31153.13
Phi-3-mini-4k-instruct: q4f16_1 3672.07, q4f32_1 5483.12, q4f16_1-1k 2520.07+, q4f32_1-1k 3179.12+
Llama-2-7b-chat-hf: q4f32_1-1k 5284.01, q4f16_1-1k 4618.52*, q4f32_1 9109.03, q4f16_1 6749.02*
Llama-2-13b-chat-hf: q4f16_1 11814.09*
gemma-2b-it (buffer=262144000): q4f16_1 1476.52*, q4f32_1 1750.66, q4f16_1-1k 1476.52+*, q4f32_1-1k 1750.66+
phi-2 (context=2048): q4f16_1 3053.97*, q4f32_1 4032.48
phi-2: q4f16_1-1k 2131.97+*, q4f32_1-1k 2740.48+
phi-1_5 (context=2048): q4f16_1 1210.09+*, q4f32_1 1682.09+
phi-1_5: q4f16_1-1k 1210.09+*, q4f32_1-1k 1682.09+
TinyLlama-1.1B-Chat-v0.4 (context=2048): q4f16_1 697.24+*, q4f32_1 839.98+
TinyLlama-1.1B-Chat-v0.4: q4f16_1-1k 675.24+*, q4f32_1-1k 795.98+
snowflake-arctic-embed-m (embedding): q0f32-b32 1407.51, q0f32-b4 539.4
snowflake-arctic-embed-s (embedding): q0f32-b32 1022.82, q0f32-b4 238.71
`;
