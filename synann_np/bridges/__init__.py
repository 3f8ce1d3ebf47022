"""synann_np inside other libraries. Each bridge is the only place that names its library, and imported by name.

synann_np.bridges.torch          the synapse as an nn.Module         extra: torch
synann_np.bridges.onnx           models as ONNX files                extra: onnx
synann_np.bridges.sklearn        a classifier, as an estimator       extra: sklearn
synann_np.bridges.tensorboard    a training run, as it goes on       extra: tensorboard
"""
