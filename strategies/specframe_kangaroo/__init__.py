from specframe_kangaroo._adapter import Adapter, AdapterConfig
from specframe_kangaroo._loss import distillation_loss
