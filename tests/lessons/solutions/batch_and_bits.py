"""Solutions of lesson 16."""

MEAN = "mean = gradients.mean(0)"
APART = "apart = (gradients - mean).square().sum(1)"


def scale(*lines):
    return "\n    ".join(["def noise_scale(gradients):", *lines])


def rounded(*lines):
    return "\n    ".join(["def stochastic(values):", *lines])


NOISE = "noise = torch.randint(0, 65536, values.shape, dtype=torch.int32)"
BITS = "bits = values.view(torch.int32)"
BACK = "return bits.view(torch.float32).bfloat16()"
LOW = "low = (values.view(torch.int32) & -65536).view(torch.float32)"
HIGH = "high = ((values.view(torch.int32) & -65536) + 65536).view(torch.float32)"

RIGHT = {
    "ex-noise": [
        scale(MEAN, APART, "return (apart.mean() / mean.square().sum()).item()"),
        scale(MEAN, APART, "return apart.mean() / mean.square().sum()"),
        scale(
            "variance = gradients.var(0, correction=0).sum()",
            "return float(variance / gradients.mean(0).norm() ** 2)",
        ),
        scale(
            "import numpy as np",
            "g = gradients.numpy()",
            "return g.var(0).sum() / (g.mean(0) ** 2).sum()",
        ),
        scale(
            "square = (gradients**2).sum(1).mean()",
            "mean = gradients.mean(0)",
            "return (square - mean @ mean) / (mean @ mean)",
        ),
        scale(
            MEAN,
            "total = sum(((g - mean) ** 2).sum() for g in gradients)",
            "return total / len(gradients) / (mean**2).sum()",
        ),
        "@torch.no_grad()\n"
        + scale(
            "centred = gradients - gradients.mean(0, keepdim=True)",
            "covariance = centred.T @ centred / len(gradients)",
            "return covariance.trace() / gradients.mean(0).dot(gradients.mean(0))",
        ),
    ],
    "ex-stochastic": [
        rounded(NOISE, "bits = (values.view(torch.int32) + noise) & -65536", BACK),
        rounded(
            LOW,
            HIGH,
            "up = torch.rand_like(values) < (values - low) / (high - low)",
            "return torch.where(up, high, low).bfloat16()",
        ),
        rounded(
            "near = values.bfloat16()",
            "far = near.new_tensor(1e38)",
            "low = torch.where(near.float() > values, near.nextafter(-far), near)",
            "high = low.nextafter(far)",
            "part = (values.double() - low) / (high.double() - low)",
            "return torch.where(torch.rand(values.shape) < part, high, low)",
        ),
        rounded(
            "bits = values.clone().view(torch.int32)",
            "bits += (torch.rand(values.shape) * 65536).int()",
            "bits >>= 16",
            "return bits.to(torch.int16).view(torch.bfloat16)",
        ),
        rounded(
            "bits = values.view(torch.int32)",
            "rest = bits % 65536",
            "up = torch.rand(values.shape) * 65536 < rest",
            "return (bits - rest + 65536 * up.int()).view(torch.float32).to(torch.bfloat16)",
        ),
        rounded(
            "noise = torch.randint(0, 65536, values.shape).to(torch.int32)",
            "return (values.view(torch.int32) + noise).view(torch.int16)[..., 1::2]"
            ".contiguous().view(torch.bfloat16)",
        ),
        "from gradwidgets.core import precision\n\n\n"
        + rounded("return precision.stochastic(values, torch.bfloat16)"),
    ],
}

WRONG = {
    "ex-noise": [
        scale("pass"),
        scale("return 1.0"),
        scale("return gradients"),
        scale(MEAN, "return gradients.var(0).sum() / mean.square().sum()"),
        scale(MEAN, APART, "return apart.mean() / mean.norm()"),
        scale(MEAN, APART, "return apart.sqrt().mean() / mean.norm()"),
        scale(MEAN, APART, "return apart.sum() / mean.square().sum()"),
        scale(MEAN, APART, "return mean.square().sum() / apart.mean()"),
        scale(MEAN, "return (gradients - mean).square().mean() / mean.square().sum()"),
        scale(MEAN, "return (gradients.var(0, correction=0) / mean.square()).mean()"),
        scale(MEAN, "return gradients.square().sum(1).mean() / mean.square().sum()"),
        scale(
            MEAN, "gradients -= mean", "return gradients.square().sum(1).mean() / mean.dot(mean)"
        ),
        scale(
            "mean = gradients.mean(1, keepdim=True)",
            "return (gradients - mean).square().sum(1).mean() / mean.square().sum()",
        ),
    ],
    "ex-stochastic": [
        rounded("pass"),
        rounded("return values.bfloat16()"),
        rounded("return values"),
        rounded(BITS, "bits = bits & -65536", BACK),
        rounded(
            LOW, HIGH, "return torch.where(torch.rand_like(values) < 0.5, high, low).bfloat16()"
        ),
        rounded(NOISE.replace("65536", "32768"), BITS, "bits = (bits + noise) & -65536", BACK),
        rounded(NOISE.replace("values.shape", "()"), BITS, "bits = (bits + noise) & -65536", BACK),
        rounded(
            NOISE.replace("values.shape", "values[:, :1].shape"),
            BITS,
            "bits = (bits + noise) & -65536",
            BACK,
        ),
        rounded(NOISE, BITS, "bits = bits + noise", BACK),
        rounded(NOISE, BITS, "bits.add_(noise).bitwise_and_(-65536)", BACK),
        rounded("return (values + 0.004 * (torch.rand_like(values) - 0.5)).bfloat16()"),
        rounded("return (values * (1 + (torch.rand_like(values) - 0.5) / 128)).bfloat16()"),
        rounded(
            LOW,
            HIGH,
            "up = torch.rand_like(values) > (values - low) / (high - low)",
            "return torch.where(up, high, low).bfloat16()",
        ),
        rounded(NOISE, "bits = (values.view(torch.int32) + noise) & -65536", "return bits"),
    ],
}
