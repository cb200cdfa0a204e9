"""Catches an upgrade of Keras that changes what our optimizers use of its private API."""

import keras
import numpy as np

from keras_resnet._keras_internals import MuonForChosenVariables, momentum_slot


def test_momentum_slot():
    variables = [keras.Variable(np.zeros(2)), keras.Variable(np.zeros(2))]
    optimizer = keras.optimizers.SGD(1.0, momentum=0.5)
    optimizer.apply([np.ones(2), np.zeros(2)], variables)
    found = [momentum_slot(optimizer, variable).numpy().tolist() for variable in variables]
    assert found == [[-1.0, -1.0], [0.0, 0.0]]


def test_muon_for_chosen_variables():
    class Chosen(MuonForChosenVariables):
        def uses_adam(self, variable):
            return variable is vector

    matrix, vector = keras.Variable(np.zeros((2, 3))), keras.Variable(np.zeros((3, 2)))
    optimizer = Chosen()
    optimizer.build([matrix, vector])
    has_velocity = [velocity is not None for velocity in optimizer.adam_velocities]
    assert has_velocity == [False, True], "Keras has not asked `uses_adam`"
    plain = MuonForChosenVariables()
    assert [plain.uses_adam(variable) for variable in (matrix, keras.Variable(np.zeros(3)))] == [False, True]
