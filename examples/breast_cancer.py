"""A table: is a tumour benign? 30 measurements, 2 classes (the data come with scikit-learn).

Train, evaluate, save, load, predict: the shortest program.
"""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import synann_np
from synann_np.models import SynaMLP, normalized
from synann_np.optim import Adam
from synann_np.train import evaluate, fit, predict, predict_proba

x, labels = load_breast_cancer(return_X_y=True)
x_train, x_test, labels_train, labels_test = train_test_split(x, labels, test_size=0.3, stratify=labels, random_state=1)

# The mean and the scale of the 30 columns become a part of the model.
model = normalized(SynaMLP(in_shape=(30,), classes=2, hidden=32), x_train)

for record in fit(model, Adam(0.003), (x_train, labels_train), None, epochs=20, batch_size=32, log_interval=100):
    print(f"epoch {record.epoch}: loss {record.loss:.3f}")

loss, correct = evaluate(model, x_test, labels_test)
print(f"test: loss {loss:.3f}, accuracy {correct / len(x_test):.1%}")

synann_np.save("breast_cancer.safetensors", model)
loaded = synann_np.load("breast_cancer.safetensors")
print("classes of the first five:", predict(loaded, x_test[:5]), "true:", labels_test[:5])
print("probability that they are benign:", predict_proba(loaded, x_test[:5])[:, 1].round(3))
